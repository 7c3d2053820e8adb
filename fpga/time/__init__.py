"""How fast a netlist is: levels of logic, and place and route."""
