"""Cells into arrays, arrays into tiled matrix-product engines, and the schedule that they keep."""

from dataflow.engine import Engine
from dataflow.output_stationary_engine import OutputStationaryEngine
from dataflow.weight_stationary_engine import WeightStationaryEngine

__all__ = ["ENGINES"]

ENGINES: dict[str, type[Engine]] = {
    engine.dataflow: engine for engine in (OutputStationaryEngine, WeightStationaryEngine)
}
"""Every dataflow by its name."""
