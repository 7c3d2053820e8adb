"""Operands that are no finite numbers: found once a row and once a column, so that cells need not know of them."""

from amaranth.hdl import Cat, Const, Mux, Value

from pe.base import PE
from sw_ref.formats.base import Format
from sw_ref.formats.nonfinite import nonfinite_pattern

__all__ = ["finds_nonfinite", "nonfinite"]


def finds_nonfinite(pe: PE) -> bool:
    """Whether an operand of ``pe`` can be infinite or NaN."""
    return any(nonfinite_pattern(form) for mode in pe.modes for form in (mode.act, mode.weight))


def nonfinite(pe: PE, side: str, codes: Value, mask: Value, mode: Value | None) -> Value:
    """Whether of a step's codes of one row (``act``) or column (``weight``) one that counts is no finite number.

    Parameters
    ----------
    pe : PE
    side : {"act", "weight"}
    codes : Value
        As `pe.base.Encoder` takes them.
    mask : Value
        Which of the ``lanes`` count.
    mode : Value or None
        Which of the modes, if there are several.
    """
    found = [_found(getattr(each, side), each.lanes, codes, mask) for each in pe.modes]
    chosen = found[0]
    for index, each in enumerate(found[1:], start=1):
        chosen = Mux(mode == index, each, chosen)
    return chosen


def _found(form: Format, count: int, codes: Value, mask: Value) -> Value:
    pattern = nonfinite_pattern(form)
    if pattern is None:
        return Const(0, 1)
    slots = len(mask) // count
    hits = []
    for index in range(count):
        code = codes[index * form.bits : (index + 1) * form.bits]
        bits = [
            bit if pattern.value >> place & 1 else ~bit for place, bit in enumerate(code) if pattern.care >> place & 1
        ]
        hits.append(Cat(*bits, mask[index * slots]).all())
    return Cat(hits).any()
