"""What a design comes to: everything that follows from its fields."""

from typing import Any

from hw.core.naming import identifier
from hw.core.unit import Unit
from macforge.design.design import Design
from sw_ref.arith.float_sum import FloatSum
from sw_ref.engine.schedule import schedule_of

__all__ = ["derived", "ports"]


def derived(design: Design) -> dict[str, Any]:
    """Widths, latencies, cycles and rates that follow from a design.

    ``cycles`` is the formula; ``cycles_256`` what it gives for 256 x 256 x 256, if K may be that long.
    """
    engine, pe = design.engine, design.pe
    table = {
        "module": identifier(design.name),
        "act_bits": pe.act.bits,
        "weight_bits": pe.weight.bits,
        "row_operand_bits": pe.row_bits,
        "column_operand_bits": pe.column_bits,
        "accumulator": engine.accumulator.name,
        "accumulator_bits": engine.accumulator.bits,
        **_integers(design),
        **_block(design),
        "cell_latency": pe.latency,
        "array_latency": engine.array.latency,
        "peak_macs_per_cycle": design.array.rows * design.array.cols * pe.lanes,
        "panel_rows": engine.panel_rows,
        "products_per_step": engine.span,
        "result_bits": engine.result_bits,
    }
    if engine.edge:
        table |= {
            "drain_latency": engine.edge.latency,
            "drain_turnaround": engine.edge.turnaround,
            "drain_fields": {kind: list(fields) for kind, fields in engine.parameter_shapes.items()},
        }
    small = min(256, design.tiling.max_k // design.product_lanes)
    schedule = schedule_of(engine.spec, m=256, n=256, k=small)
    return {
        **table,
        "cycles": schedule.formula,
        f"cycles_256x256x{small}": schedule.cycles,
        f"utilization_256x256x{small}": round(schedule.utilization, 4),
    }


def _block(design: Design) -> dict[str, object]:
    """What is known of cells that keep the sums of several rows and columns."""
    block = design.pe.block
    return (
        {"block_rows": block.rows, "block_cols": block.cols, "block_word_bits": block.word_bits(design.sums)}
        if block
        else {}
    )


def _integers(design: Design) -> dict[str, object]:
    """What is known of sums that are integers."""
    sums = design.sums
    if isinstance(sums, FloatSum):
        return {}
    return {"step_interval": [design.pe.term.lo, design.pe.term.hi], "accumulator_overflow": sums.overflow}


def ports(unit: Unit) -> list[dict[str, Any]]:
    """Name, direction and width of every port, clock and reset first."""
    listing = [
        {"name": "clk", "direction": "input", "bits": 1},
        {"name": "rst", "direction": "input", "bits": 1},
    ]
    for name, (value, flow) in unit.ports().items():
        direction = "input" if flow.name == "In" else "output"
        listing.append({"name": name, "direction": direction, "bits": len(value)})
    return listing
