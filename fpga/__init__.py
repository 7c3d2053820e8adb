"""What a design costs on an FPGA: synthesis, resource counts, timing, and a baseline to compare with."""
