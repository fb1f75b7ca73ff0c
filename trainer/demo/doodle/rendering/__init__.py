"""Named attributes of a doodle, and their image."""
