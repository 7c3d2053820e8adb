"""An accelerator with a memory of its own and a serial line: all of a board but its clock."""
