"""What was measured, one script a figure: `python -m benchmarks.synthesis --help` from the project's folder."""
