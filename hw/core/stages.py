"""Circuits as steps, with any number of register stages spread over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Const, Module

from hw.core.number import Number
from hw.core.registers import delayed

__all__ = ["Step", "check_pipeline", "run_steps", "side_by_side", "spread", "stages_for", "stages_name"]

# As a `Step` counts delays: three look-up tables in a row, or a carry chain and one.
_MOST_DELAY = 4


@dataclass(frozen=True)
class Step:
    """A piece of a circuit that has no registers.

    ``at`` is a SimpleNamespace, as a step may add names, replace and delete them, and `run_steps` has to find all.

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


def run_steps(m: Module, at: SimpleNamespace, steps: Sequence[Step], *, registers: int, behind: bool = True) -> None:
    """Build ``steps`` one behind the other, with ``registers`` register stages spread over them, see `spread`.

    All that is in ``at`` where a stage lies, and in the lists, dictionaries and namespaces that it holds, goes through
    its registers, which have no reset; those of which no later step reads anything go when the Verilog is written.
    """
    steps = steps or [Step(0, _pass)]
    stages = spread([step.delay for step in steps], registers, behind=behind)
    for index, (step, cycles) in enumerate(zip(steps, stages, strict=True)):
        step.build(m, at)
        if cycles:
            for name, value in vars(at).items():
                setattr(at, name, _later(m, f"{name}_{index}", value, cycles))


def side_by_side(parts: Sequence[Sequence[Step]]) -> list[Step]:
    """Steps of circuits that lie side by side, each with as many, as one sequence of steps.

    Those of circuit i find their Values and Numbers in ``at.parts[i]``, a namespace of their own.
    """

    def together(steps: Sequence[Step]) -> Step:
        def build(m: Module, at: SimpleNamespace) -> None:
            for part, step in zip(at.parts, steps, strict=True):
                step.build(m, part)

        return Step(max(step.delay for step in steps), build)

    return [together(steps) for steps in zip(*parts, strict=True)]


def spread(delays: Sequence[int], registers: int, *, behind: bool = True) -> list[int]:
    """How many register stages follow each step, so that the longest delay between them is as short as can be.

    The last one is ``behind`` the last step; or else they are placed as if there were one more there.
    """
    ends = [0, *accumulate(delays)]
    # of the first steps: the longest delay, how unlike delays are, and where the stages lie; late if that is all the
    # same, since chains grow longer
    best = {0: (0, 0, ())}
    for _group in range(registers + (not behind)):
        best = {
            stop: min(
                (max(longest, ends[stop] - ends[start]), squares + (ends[stop] - ends[start]) ** 2, (*cuts, -stop))
                for start, (longest, squares, cuts) in best.items()
                if start <= stop
            )
            for stop in range(len(ends))
        }
    stages = [0] * len(delays)
    for cut in best[len(delays)][2][:registers] if registers else ():
        stages[max(0, -cut - 1)] += 1
    return stages


def stages_for(steps: Sequence[Step]) -> int:
    """How many register stages between steps keep the delays between them short.

    That is for circuits at an array's edge, where a cycle more costs nothing that counts.
    """
    return max(0, -(-sum(step.delay for step in steps) // _MOST_DELAY) - 1)


def stages_name(stages: int) -> str:
    """What names of modules end with."""
    return f"_p{stages}" if stages else ""


def check_pipeline(pipeline: int) -> None:
    """Raise unless ``pipeline`` is a count of register stages."""
    if not isinstance(pipeline, int) or isinstance(pipeline, bool) or pipeline < 0:
        raise ValueError(f"Pipeline must be 0 or more stages, not {pipeline!r}")


def _pass(_m: Module, _at: SimpleNamespace) -> None:
    """No circuit at all."""


def _later(m: Module, name: str, value: Any, cycles: int) -> Any:
    match value:
        case Number():
            return Number(_later(m, name, value.value, cycles), value.interval)
        case list() | tuple():
            return [_later(m, f"{name}_{index}", each, cycles) for index, each in enumerate(value)]
        case dict():
            return {key: _later(m, f"{name}_{index}", each, cycles) for index, (key, each) in enumerate(value.items())}
        case SimpleNamespace():
            return SimpleNamespace(
                **{key: _later(m, f"{name}_{key}", each, cycles) for key, each in vars(value).items()}
            )
    return value if isinstance(value, Const | int) or not len(value) else delayed(m, value, cycles, name=name)
