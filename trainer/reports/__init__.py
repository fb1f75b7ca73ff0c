"""Reports of trainings: HTML pages from templates, contact sheets, plots."""
