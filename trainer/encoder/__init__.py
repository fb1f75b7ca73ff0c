"""Training the encoder: image -> W+."""
