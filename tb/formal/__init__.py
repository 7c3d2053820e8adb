"""Rules of AXI as assertions, and proofs that units keep them."""
