"""Arithmetic of codes: exact sums, accumulators of finite width, and sums that are floats."""
