"""Circuits as steps, with any number of register stages spread over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import SimpleNamespace

from amaranth.hdl import Const, Module, Value

from hw.delay import delayed
from hw.number import Number

__all__ = ["Step", "check_pipeline", "run_steps", "spread"]


@dataclass(frozen=True)
class Step:
    """A piece of a circuit that has no registers.

    Parameters
    ----------
    delay : int
        How long it takes, in about the delay of a look-up table and the wire to it: only ratios count.
    build : callable
        ``build(m, at)`` adds the piece to module ``m``. It finds the Values and Numbers of the steps before it as
        attributes of ``at``, and leaves its own there.
    """

    delay: int
    build: Callable[[Module, SimpleNamespace], None]


def run_steps(m: Module, at: SimpleNamespace, steps: Sequence[Step], *, registers: int) -> None:
    """Build ``steps`` one behind the other, with ``registers`` register stages between and behind them.

    All that is in ``at`` where a stage lies goes through its registers, which have no reset; those of which no later
    step reads anything go when the Verilog is written.
    """
    stages = spread([step.delay for step in steps], registers)
    for index, (step, cycles) in enumerate(zip(steps, stages, strict=True)):
        step.build(m, at)
        for name, value in vars(at).items():
            setattr(at, name, _later(m, f"{name}_{index}", value, cycles))


def spread(delays: Sequence[int], registers: int) -> list[int]:
    """How many register stages follow each step, so that the delays between them are about equal.

    The last one is behind the last step.
    """
    ends = list(accumulate(delays))
    stages = [0] * len(delays)
    for count in range(1, registers + 1):
        ideal = count * ends[-1] / registers
        stages[min(range(len(ends)), key=lambda index: abs(ends[index] - ideal))] += 1
    return stages


def check_pipeline(pipeline: int) -> None:
    """Raise unless ``pipeline`` is a count of register stages."""
    if not isinstance(pipeline, int) or isinstance(pipeline, bool) or pipeline < 0:
        raise ValueError(f"Pipeline must be 0 or more stages, not {pipeline!r}")


def _later(m: Module, name: str, value: Value | Number, cycles: int) -> Value | Number:
    if isinstance(value, Number):
        return Number(delayed(m, value.value, cycles, name=name), value.interval)
    return value if isinstance(value, Const) else delayed(m, value, cycles, name=name)
