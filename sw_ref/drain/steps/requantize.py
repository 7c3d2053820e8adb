"""Requantization: integers to fewer bits, by a ratio that is an integer over a power of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from sw_ref.drain import requantize as dyadic
from sw_ref.drain.names import integer_format
from sw_ref.drain.step import Key, Parameter, Sizes, Step
from sw_ref.fields import Only, Range, one_of
from sw_ref.formats.base import Int
from sw_ref.interval import Interval

if TYPE_CHECKING:
    from sw_ref.drain.edge import Drain

__all__ = ["Requantize"]

_ROUNDINGS = ("half_even", "floor", "gemmlowp")
_WITH_IT = Only(lambda drain: drain.requantize != "none", " unless {}requantize is a format")


@dataclass(frozen=True, kw_only=True)
class Requantize(Step):
    """``y = clip(out_zero[n] + round((y * multiplier[n] + addend[n]) / 2**shift[n]))``, see `sw_ref.drain.requantize`.

    HAWQ-V3 (arXiv 2011.10680) for ``half_even``; gemmlowp and TensorFlow Lite for ``gemmlowp``; RBE, the engine of
    Marsellus (arXiv 2305.08415), for ``floor`` with an addend; ONNX QLinearMatMul for the zero point of results.

    Parameters
    ----------
    requantize : Int or None
        Format of the result.
    multiplier_bits : int
        Width of the unsigned multiplier.
    rounding : {"half_even", "floor", "gemmlowp"}
        ``gemmlowp`` takes multipliers of 31 bits.
    addend : bool
        Whether there is an integer of 32 bits for each column in front of the shift.
    out_zero : bool
        Whether there is a zero point for each column, of the result's format.
    """

    requantize: Int | None = None
    multiplier_bits: int = 31
    rounding: dyadic.Rounding = "half_even"
    addend: bool = False
    out_zero: bool = False

    keys = (
        Key(name="requantize", hint=str, default="none", read=integer_format),
        Key(name="multiplier_bits", hint=Annotated[int, Range(2, 31), _WITH_IT], default=31),
        Key(name="rounding", hint=Annotated[dyadic.Rounding, _WITH_IT], default="half_even"),
        Key(name="addend", hint=Annotated[bool, _WITH_IT], default=False),
        Key(name="out_zero", hint=Annotated[bool, _WITH_IT], default=False),
    )

    def __post_init__(self) -> None:
        one_of("Drain rounding", self.rounding, _ROUNDINGS)
        if not 2 <= self.multiplier_bits <= 31:
            raise ValueError(f"Drain multiplier_bits must be from 2 to 31, not {self.multiplier_bits}")
        if self.rounding == "gemmlowp" and (self.multiplier_bits != 31 or self.addend):
            raise ValueError("Drain rounding gemmlowp takes multiplier_bits 31 and no addend, as it rounds the product")

    @property
    def is_present(self) -> bool:
        return self.requantize is not None

    @property
    def adds_bias(self) -> bool:
        return self.addend

    @property
    def form(self) -> Int:
        """The format of the result, of a step that is present."""
        assert self.requantize is not None
        return self.requantize

    def check(self, edge: Drain) -> None:
        if edge.floating:
            raise ValueError("Drain requantize must follow integer steps, not floating scales")
        if edge.accumulator.bits > 32:
            raise ValueError(f"Drain accumulator must have at most 32 bits to requantize, not {edge.accumulator.bits}")

    def parameters(self, edge: Drain) -> tuple[Parameter, ...]:
        found = [
            Parameter(name="multiplier", kind="output", form=Int(self.multiplier_bits, signed=False)),
            # gemmlowp rounds to units of 2**31 first
            Parameter(
                name="shift", kind="output", form=Int(6, signed=False), least=31 if self.rounding == "gemmlowp" else 0
            ),
        ]
        if self.addend:
            found.append(Parameter(name="addend", kind="output", form=Int(32)))
        if self.out_zero:
            found.append(Parameter(name="out_zero", kind="output", form=self.form))
        return tuple(found)

    def interval(self, given: Interval, sizes: Sizes, edge: Drain) -> Interval:
        return self.form.interval

    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        return dyadic.requantize(
            y,
            given["multiplier"],
            given["shift"],
            bits=self.form.bits,
            signed=self.form.signed,
            rounding=self.rounding,
            addend=given.get("addend", 0),
            zero=given.get("out_zero", 0),
        )
