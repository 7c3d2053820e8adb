"""Generator of RTL for quantized matrix multiplication."""
