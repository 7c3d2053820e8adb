"""The specification: number formats, quantizers and bit-exact integer arithmetic in NumPy."""
