"""Integer arithmetic: shifts, additions, multipliers, requantization."""
