"""What measures an embedded domain: its judge, its parts, its motion, photographs, its evaluation setup."""
