"""What every training has in common: loop, pipeline, run folder, progress, processes."""
