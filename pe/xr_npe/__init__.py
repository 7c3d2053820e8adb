"""XR-NPE: one cell for 4-, 8- and 16-bit floats and posits."""
