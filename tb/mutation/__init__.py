"""Hardware with faults on purpose, many in one netlist, and benches that have to find each of them."""
