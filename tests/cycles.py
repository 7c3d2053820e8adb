"""How long an accelerator takes, to the cycles that its engine is predicted to take."""

from macforge.run.executor import MatmulResult
from tests.typed import present

__all__ = ["BEGIN_AND_END", "takes_as_long"]

BEGIN_AND_END = 300
"""Cycles, at most, in which a descriptor and the first operands are on their way, and the last results are."""


def takes_as_long(done: MatmulResult, *, predicted: int | None = None) -> bool:
    """Whether it took what was predicted, but for begin and end: the engine's cycles, if no others are given."""
    return 0 <= present(done.cycles) - (done.predicted_cycles if predicted is None else predicted) <= BEGIN_AND_END
