"""What arrays with check columns take, and how the columns are made for an array."""

from functools import partial
from typing import Any

from dataflow.array.shape import Shape
from pe.base import PE
from pe.operands.decode import decodes, is_plain
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.checksum import check_bits, checks_of
from sw_ref.arith.float_sum import FloatSum
from sw_ref.arith.rules import Exact

__all__ = ["check_columns", "check_width"]


def check_width(shape: Shape, accumulator: Accumulator | FloatSum) -> int:
    """Width of a check sum of an array; 0 without check columns."""
    return check_bits(accumulator.bits, shape.cols, shape.checksum) if shape.checksum != "none" else 0


def check_columns(kind: type, *, pe: PE, shape: Shape, accumulator: Accumulator | FloatSum) -> list[partial[Any]]:
    """Makers of an array's check columns, the plain one first; none without.

    Parameters
    ----------
    kind : type
        Of `dataflow.array.check_columns`.

    Raises
    ------
    ValueError
        If check sums would not be those of the cells' sums.
    """
    if shape.checksum == "none":
        return []
    _check(pe, shape, accumulator)
    how = {"act": pe.act, "weight": pe.weight, "rows": shape.rows, "lanes": pe.lanes, "cols": shape.cols}
    dsp = "auto" if pe.uses_dsp else "none"
    bits = check_width(shape, accumulator)
    return [partial(kind, **how, bits=bits, weighted=weighted, dsp=dsp) for weighted in checks_of(shape.checksum)]


def _check(pe: PE, shape: Shape, accumulator: Accumulator | FloatSum) -> None:
    given = shape.checksum
    if isinstance(accumulator, FloatSum):
        raise ValueError(f"Array checksum must be none for sums as {accumulator.name}, which are rounded, not {given}")
    if accumulator.overflow == "saturate":
        raise ValueError(f"Array checksum must be none for sums that saturate, not {given}")
    if accumulator.overflow == "wrap" and given == "correct":
        raise ValueError(
            "Array checksum must be none or detect for sums that wrap, and hide how wrong they are, not correct"
        )
    if not isinstance(pe.rule, Exact):
        raise ValueError(f"Array checksum must be none for {pe.name}, whose products are rounded, not {given}")
    if len(pe.modes) > 1:
        raise ValueError(f"Array checksum must be none for {pe.name}, which has several modes, not {given}")
    if pe.interleave > 1:
        raise ValueError(f"Array checksum must be none for {pe.name}, whose cells keep several sums, not {given}")
    for form in (pe.act, pe.weight):
        if form.fixed is None or not (is_plain(form) or decodes(form)):
            raise ValueError(
                f"Array checksum must be none for {form.name}, which has no small decoder to integers, not {given}"
            )
