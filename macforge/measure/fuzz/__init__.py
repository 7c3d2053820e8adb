"""Designs that nobody thought of: drawn at random, and each refused in one line or proven against the model."""
