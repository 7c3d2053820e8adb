"""From units to Verilog, and the tools that read it; results of both are kept on disk."""
