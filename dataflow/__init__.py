"""Cells into arrays, arrays into tiled matrix-product engines, and the schedule that they keep."""
