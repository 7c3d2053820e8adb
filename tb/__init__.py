"""cocotb benches: the runner, the drivers, and one bench for each level, which serves every design."""
