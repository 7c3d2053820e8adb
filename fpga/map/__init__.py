"""From Verilog to the netlist of a family."""
