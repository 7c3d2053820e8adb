"""Several products in one multiplier."""
