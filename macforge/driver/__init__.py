"""Drivers of accelerators: C for whoever has the board, and Python."""
