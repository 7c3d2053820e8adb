"""Quantizers: real matrices to codes and scales, and back."""
