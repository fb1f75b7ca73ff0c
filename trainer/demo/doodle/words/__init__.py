"""What a doodle can be called."""
