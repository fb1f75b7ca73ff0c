"""Training the motion model: the paper's method."""
