"""An accelerator's memory as plain data: what lies where, and the descriptors that say so."""
