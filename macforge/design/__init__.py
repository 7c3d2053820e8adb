"""A design: its fields, its choices, its file, and what follows from it."""
