"""Cells into arrays, arrays into tiled matrix-product engines, and the schedule that they keep."""

from typing import TYPE_CHECKING

from sw_ref.registry import Registry

if TYPE_CHECKING:
    from dataflow.engine.base import Engine

__all__ = ["ENGINES"]

ENGINES: "Registry[type[Engine]]" = Registry(
    {
        "output_stationary": "dataflow.engine.output_stationary:OutputStationaryEngine",
        "weight_stationary": "dataflow.engine.weight_stationary:WeightStationaryEngine",
    }
)
"""Every dataflow by its name."""
