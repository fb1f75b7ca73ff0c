"""How the doodle domain was made, start to finish."""
