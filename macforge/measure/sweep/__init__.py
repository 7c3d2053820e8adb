"""Sweeps: designs x settings x families x seeds, measured once each and kept in a file."""
