"""Figures of the documentation, each made by a program from the code or from a recorded run."""
