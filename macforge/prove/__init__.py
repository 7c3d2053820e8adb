"""What is proven of a design, rather than simulated: one module for each part, and one entry in `parts.PARTS`."""
