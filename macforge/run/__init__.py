"""Executes a program: activations to what an engine is given, and its results to numbers."""
