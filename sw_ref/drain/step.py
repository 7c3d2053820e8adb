"""A step of the drain edge: its keys in a design, its parameters, what it computes, and what that can come to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np

from sw_ref.formats.base import Int
from sw_ref.formats.minifloat import Float
from sw_ref.formats.signs import PowerOfTwo
from sw_ref.interval import Interval

if TYPE_CHECKING:
    from sw_ref.drain.edge import Drain

__all__ = ["Key", "Kind", "Parameter", "Sizes", "Stage", "Step"]

Kind = Literal["column", "row", "output"]
Stage = Literal["term", "total"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter that a step takes.

    Parameters
    ----------
    name : str
    kind : {"column", "row", "output"}
        One for each group and column (G, N), for each group and row (G, M), or for each column (N,).
    form : Int, Float, PowerOfTwo or None
        Format of its code; None for an integer as wide as sums of weights are.
    terms : int
        Codes that make one parameter; more than one have an axis of their own in front.
    least : int, optional
        The smallest integer that the step takes, where that is more than the format's.
    """

    name: str
    kind: Kind
    form: Int | Float | PowerOfTwo | None
    terms: int = 1
    least: int | None = None

    def bits(self, sizes: Sizes) -> int:
        """Width, of all terms."""
        return self.terms * (sizes.column_sum.signed_bits if self.form is None else self.form.bits)

    @property
    def signed(self) -> bool:
        """Whether the code is in two's complement."""
        return self.form is None or (isinstance(self.form, Int) and self.form.signed)


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of a design's table ``drain``.

    Parameters
    ----------
    name : str
        Also the name of the step's field.
    hint : type
        What the key takes, as `sw_ref.fields.check_fields` reads it.
    default : object
        What leaves the step out, or its option as it is.
    read : callable, optional
        ``read("Drain key", value)`` makes the field's value; by default it is the same.
    """

    name: str
    hint: object
    default: object
    read: Callable[[str, object], object] = lambda _key, value: value


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What integer sums can be, from which the widths behind them follow.

    Parameters
    ----------
    row_sum, column_sum : Interval
        A sum of a row's activations, and of a column's weights.
    """

    row_sum: Interval
    column_sum: Interval


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """One step; a subclass is a frozen dataclass whose fields are its keys, and stands in `sw_ref.drain.steps.STEPS`.

    Its circuit is an entry of `dataflow.drain.steps.CIRCUITS`.
    """

    keys: ClassVar[tuple[Key, ...]]
    """Its keys in a design, in the order in which a design is shown."""
    stages: ClassVar[tuple[Stage, ...]] = ("total",)
    """The values that `stage` can have; of several, the step's own `stage` says which."""

    @property
    def stage(self) -> Stage:
        """Whether it comes once for each sum, before they are added up, or once for each total."""
        return self.stages[0]

    @property
    def wants_floats(self) -> bool:
        """Whether integers become floats in front of it."""
        return False

    @property
    def takes_row_sums(self) -> bool:
        """Whether it takes the sums of a row's activations, ``row_sum`` (G, M)."""
        return False

    @property
    def adds_bias(self) -> bool:
        """Whether it adds a layer's bias."""
        return False

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self | None:
        """The step with these values of its fields, of which any may be missing; None if they leave it out."""
        step = cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})
        return step if step.is_present else None

    @property
    @abstractmethod
    def is_present(self) -> bool:
        """Whether there is anything to do."""

    def parameters(self, edge: Drain) -> tuple[Parameter, ...]:
        """What it takes, in the order of a beat."""
        return ()

    def check(self, edge: Drain) -> None:  # noqa: B027 - most fit whatever there is
        """Raise ValueError if it does not fit the other steps."""

    def interval(self, given: Interval, sizes: Sizes, edge: Drain) -> Interval:
        """What comes of integers in ``given``; only asked where it gives integers."""
        raise TypeError(f"Step {type(self).__name__} has no integers")

    @abstractmethod
    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        """The specification.

        Parameters
        ----------
        y : array (G, M, N), or (M, N) in the stage ``total``
            Integers, or codes of ``edge.arithmetic``.
        given : mapping
            The step's parameters, and ``row_sum`` if it takes them, so shaped that they broadcast over ``y``.
        edge : Drain
        """
