"""Metrics of motion models, judges, bootstrap intervals, inter-rater agreement."""
