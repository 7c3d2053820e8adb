"""A part of a design that gets faults, and the bench that has to find them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hw.core.unit import Unit
from tb.mutation.netlist import Mutants

__all__ = ["Bench", "Subject"]


class Bench(Protocol):
    """Stimuli, and what must come of them."""

    def build(self) -> None:
        """Have the simulator of all faults made, unless it has been before."""
        ...

    def failure(self, number: int) -> str:
        """What is wrong with the hardware of a fault, 0 for none; empty if nothing. May abort, or never return."""
        ...


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A part of a design.

    Parameters
    ----------
    unit : Unit
        What is simulated.
    modules : frozenset of str
        Those modules of it that get faults.
    bench : callable
        The bench of the unit with its faults.
    only_delays : bool
        Whether all registers of the unit lie on paths of equal lengths.
    allowed : mapping of (str, int, int) to sequence of int
        Of an input port, of its bits from one on, so many: the numbers that can occur, if not all.
    """

    unit: Unit
    modules: frozenset[str]
    bench: Callable[[Mutants], Bench]
    only_delays: bool = False
    allowed: Mapping[tuple[str, int, int], Sequence[int]] = field(default_factory=dict)
