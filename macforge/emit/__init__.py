"""What a design is taken into an FPGA project by."""
