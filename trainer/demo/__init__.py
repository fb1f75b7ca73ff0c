"""The embedded domains: how each was made, and what it brings to training and evaluation."""
