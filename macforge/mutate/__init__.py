"""How many faults the benches of a design find: one module for each part of it, and one entry in `parts.PARTS`."""
