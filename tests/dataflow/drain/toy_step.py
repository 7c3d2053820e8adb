"""A step of the drain edge that macforge lacks: the sign of a total is turned where a key says so.

All that a new step takes: its specification, its circuit, and an entry in each of two lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Mux, Value

from dataflow.drain.pipeline import Column, StepCircuit, register
from dataflow.drain.steps import CIRCUITS
from hw.core.narrow import wrap
from hw.core.number import Number
from sw_ref.drain.edge import Drain
from sw_ref.drain.step import Key, Parameter, Sizes, Step
from sw_ref.drain.steps import STEPS
from sw_ref.formats.base import Int
from sw_ref.interval import Interval

__all__ = ["Turn", "TurnCircuit", "enter"]


@dataclass(frozen=True, kw_only=True)
class Turn(Step):
    """``y = -y`` in columns whose parameter ``turn`` is 1."""

    turn: bool = False

    keys = (Key(name="turn", hint=bool, default=False),)

    @property
    def is_present(self) -> bool:
        return self.turn

    def check(self, edge: Drain) -> None:
        if edge.floating:
            raise ValueError("Drain turn must be left out behind steps with floats")

    def parameters(self, edge: Drain) -> tuple[Parameter, ...]:
        return (Parameter(name="turn", kind="output", form=Int(1, signed=False)),)

    def interval(self, given: Interval, sizes: Sizes, edge: Drain) -> Interval:
        return given | -given

    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        return np.where(given["turn"], -y, y)


class TurnCircuit(StepCircuit[Turn]):
    """One cycle."""

    @property
    def cycles(self) -> int:
        return 1

    def describe(self, m: Module, column: Column, value: Number | Value) -> Number:
        assert isinstance(value, Number)
        turned = Number.constant(0) - value
        either = value.interval | turned.interval
        chosen = Mux(column.field(m, "turn", self.start), turned.value, value.value)
        return register(m, "turned", Number(wrap(Number(chosen), either.signed_bits).value, either))


def enter() -> None:
    """Make the two entries."""
    STEPS.append(Turn)
    CIRCUITS[Turn] = TurnCircuit
