"""Cells and edges into arrays."""
