"""The domain's face detector: what it is trained on, its training, and how well it finds."""
