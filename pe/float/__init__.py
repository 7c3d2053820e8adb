"""Products of floats, posits and integers, with sums in fixed point or as floats."""
