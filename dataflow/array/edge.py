"""The edges of an array: codes skewed and encoded on their way in, sums put in step on their way out."""

from amaranth.hdl import Cat, Module, Value

from dataflow.array.shape import Shape
from hw.core.delay import Skew
from hw.core.registers import delayed
from hw.core.unit import place
from pe.base import PE, Encoder

__all__ = ["deskewed", "edge_latency", "place_edges"]


def edge_latency(pe: PE, *, masked: bool) -> int:
    """Cycles that the encoders of both edges take; the quicker side waits for the other."""
    return max(pe.row_encoder(masked=masked).latency, pe.column_encoder().latency)


def place_edges(
    m: Module, pe: PE, shape: Shape, *, act: Value, mask: Value | None, weight: Value, mode: Value | None
) -> tuple[Value, Value]:
    """Add both edges of an array and return the operands of all rows and of all columns.

    Row (column) ``i`` of the codes is skewed by the index of its tile, encoded, and held in a register: its operand
    belongs to the codes of ``index + edge_latency + 1`` cycles ago; ``index * interleave`` where a row's cells keep
    several sums.

    Parameters
    ----------
    act, weight : Value
        Codes of all rows, and of all columns.
    mask : Value or None
        Lanes of all rows that count; None if all do, always.
    mode : Value or None
        What the codes are of; None if the processing element has one mode.
    """
    masked = mask is not None
    latency = edge_latency(pe, masked=masked)
    rows = [pe.row_encoder(masked=masked) for _ in range(shape.rows)]
    columns = [pe.column_encoder() for _ in range(shape.cols)]
    row_delays = tuple(row // shape.tile_rows * pe.interleave for row in range(shape.rows))
    column_delays = tuple(column // shape.tile_cols for column in range(shape.cols))
    return (
        _place_edge(m, "act", rows, codes=act, mask=mask, mode=mode, delays=row_delays, latency=latency),
        _place_edge(m, "weight", columns, codes=weight, mask=None, mode=mode, delays=column_delays, latency=latency),
    )


def deskewed(m: Module, shape: Shape, sums: Value, *, what: str) -> Value:
    """One sum for each column, in step with each other: each tile was a cycle behind its left neighbour."""
    delays = tuple(shape.mesh_cols - 1 - column // shape.tile_cols for column in range(shape.cols))
    return _skewed(m, what, sums, len(sums) // shape.cols, delays)


def _place_edge(
    m: Module,
    name: str,
    encoders: list[Encoder],
    *,
    codes: Value,
    mask: Value | None,
    mode: Value | None,
    delays: tuple[int, ...],
    latency: int,
) -> Value:
    modes = None if mode is None else mode.replicate(len(encoders))
    inputs = {
        port: _skewed(m, f"{name}_{port}", words, len(words) // len(encoders), delays)
        for port, words in (("codes", codes), ("mask", mask), ("mode", modes))
        if words is not None
    }
    operands = []
    for index, encoder in enumerate(encoders):
        place(m, f"{name}_encoder_{index}", encoder)
        for port, words in inputs.items():
            m.d.comb += getattr(encoder, port).eq(words.word_select(index, len(words) // len(encoders)))
        operands.append(delayed(m, encoder.operand, latency - encoder.latency, name=f"{name}_{index}_wait"))
    return delayed(m, Cat(operands), 1, name=f"{name}_operand")


def _skewed(m: Module, name: str, value: Value, width: int, delays: tuple[int, ...]) -> Value:
    if not any(delays):
        return value
    skew = place(m, f"{name}_skew", Skew(width=width, delays=delays))
    m.d.comb += skew.early.eq(value)
    return skew.late
