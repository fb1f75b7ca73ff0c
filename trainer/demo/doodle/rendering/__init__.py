"""How a doodle is drawn from its attributes."""
