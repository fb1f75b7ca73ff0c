"""The report of a run: HTML with its figures inside, contact sheets."""
