"""What measures the domain: its judge, its parts, photographs, its evaluation setup."""
