"""Reusable hardware parts, and the drivers of the tools that turn them into netlists."""
