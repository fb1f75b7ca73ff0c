"""Model files: our own format, and the tables that translate foreign ones. None of it runs foreign code."""
