"""Whether an element, its sums and a tiling make an engine."""

from dataflow.engine.tiling import Tiling
from pe.base import PE
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum

__all__ = ["check_fit"]


def check_fit(pe: PE, accumulator: Accumulator | FloatSum, tiling: Tiling) -> None:
    """Raise ValueError if ``accumulator`` does not hold sums of ``pe``, or ``tiling`` has no room for a product."""
    if isinstance(accumulator, FloatSum) and pe.lowest is None:
        raise ValueError(f"Accumulator must hold fixed-point sums for family {pe.family}, not {accumulator.name}")
    for form in (pe.act, pe.weight):
        if not isinstance(accumulator, FloatSum) and form.fixed is None:
            raise ValueError(
                f"Accumulator kind must be rounded, aligned or partial for {form.name}, whose values take more "
                "than 64 bits in fixed point, not exact"
            )
    (pe.block or pe).core(accumulator)  # which raises if they do not fit
    slots = max(pe.lanes // mode.lanes for mode in pe.modes)
    if tiling.max_group < slots:
        raise ValueError(
            f"Tiling max_k and group_size must be at least {slots} for {pe.name}, where a product takes so many "
            f"lanes, not {tiling.max_group}"
        )
