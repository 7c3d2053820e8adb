"""Measurements of a design: area, timing, accuracy, verification; and sweeps over many."""
