"""The drain edge: what becomes of the sums of a matrix product, once a group, and once at the end."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Literal

import numpy as np

from sw_ref.arith.accumulate import Accumulator
from sw_ref.drain.requantize import requantize
from sw_ref.formats.base import Int
from sw_ref.formats.binary_float import FP32, FloatShape
from sw_ref.formats.signs import PowerOfTwo
from sw_ref.interval import Interval
from sw_ref.wide import exactly, integer_type

__all__ = ["ACT_SCALES", "ActScale", "Drain", "drain"]

ActScale = Literal["none", "row", "group"]
ACT_SCALES: tuple[ActScale, ...] = ("none", "row", "group")

# Sums that are brought to floats and added at a time.
_AT_ONCE = 1 << 19


@dataclass(frozen=True, kw_only=True)
class Drain:
    """The steps of a drain edge, each of which can be left out.

    For each of the sums of an element (m, n) of C, in the order in which they come (g counts groups, and passes):

    1. ``c = sum[g,m,n] - weight_zero[g,n] * row_sum[g,m] - act_zero[g,m] * column_sum[g,n]``, exact
    2. ``t = c * scale[g,n]``; with ``act_scale`` for each group, ``t = t * act_scale[g,m]``
    3. ``y = y + t``, where y starts as the first t

    and after the last of them:

    4. ``y = y * channel_scale[n]``; with ``act_scale`` for each row, ``y = y * act_scale[m]``
    5. ``y = y + bias[n]``
    6. ``y = clip(round_half_even(y * multiplier[n] / 2**shift[n]))``, see `sw_ref.drain.requantize`
    7. ``y = min(max(y, lo), hi)`` of ``clamp``
    8. ``y = max(y, 0)`` with ``relu``

    Numbers are exact integers until a float comes in, and from then on floats: each step rounds its result to nearest
    even, as `sw_ref.formats.binary_float.FloatShape` says. An integer becomes a float in a rounding of its own.

    Sources: MixPE (arXiv 2411.16158) for 1 to 3, HAWQ-V3 (arXiv 2011.10680) for 6, QServe (arXiv 2405.04532) for 1, 2
    and 4 with integer scales, ShiftAddLLM (arXiv 2406.05981) for scales that are sums of powers of two.

    Parameters
    ----------
    weight_zero, act_zero : Int or None
        Format of the zero points of a group and column, of a row.
    scale : Int, PowerOfTwo, FloatShape or None
        Format of the scale of a group and column; of floats, one whose numbers ``arithmetic`` holds.
    scale_terms : int
        With PowerOfTwo: how many of them, added up, make the scale.
    act_scale : {"none", "row", "group"}
        Whether there is a float for each row, and when it multiplies.
    act_scale_format : FloatShape or None
        Its format, whose numbers ``arithmetic`` holds; None for that of ``arithmetic``.
    channel_scale : bool
        A float for each column.
    bias : bool
        A 32-bit integer for each column, whose sum is kept as ``accumulator`` says; where y is a float, a float.
    requantize : Int or None
        Format of the result of step 6.
    multiplier_bits : int
        Width of its unsigned multiplier.
    clamp : tuple of two numbers, or None
    relu : bool
    sums : FloatShape or None
        Format of the sums, if they are floats; of the exponent of ``arithmetic``, which holds them.
    accumulator : Accumulator
        Where y is an integer: what is kept of it in step 3.
    arithmetic : FloatShape
        The floats.

    Raises
    ------
    ValueError
        If the steps do not fit each other.
    """

    weight_zero: Int | None = None
    act_zero: Int | None = None
    scale: Int | PowerOfTwo | FloatShape | None = None
    scale_terms: int = 1
    act_scale: ActScale = "none"
    act_scale_format: FloatShape | None = None
    channel_scale: bool = False
    bias: bool = False
    requantize: Int | None = None
    multiplier_bits: int = 31
    clamp: tuple[float, float] | None = None
    relu: bool = False
    sums: FloatShape | None = None
    accumulator: Accumulator = field(default_factory=lambda: Accumulator(32))
    arithmetic: FloatShape = FP32

    def __post_init__(self) -> None:
        if self.act_scale not in ACT_SCALES:
            raise ValueError(f"Drain act_scale must be one of {', '.join(ACT_SCALES)}, not {self.act_scale!r}")
        if not isinstance(self.scale_terms, int) or not 1 <= self.scale_terms <= 8:
            raise ValueError(f"Drain scale_terms must be an integer from 1 to 8, not {self.scale_terms!r}")
        if self.scale_terms > 1 and not isinstance(self.scale, PowerOfTwo):
            raise ValueError(f"Drain scale_terms must be 1 unless the scale is a power of two, not {self.scale_terms}")
        for name in ("scale", "act_scale_format"):
            form = getattr(self, name)
            if isinstance(form, FloatShape) and not self.arithmetic.holds(form):
                raise ValueError(
                    f"Drain {name} must be a float that the arithmetic of {self.arithmetic.bits} bits holds, not one "
                    f"of {form.exponent} exponent and {form.fraction} fraction bits"
                )
        self._check_float_sums()
        if not self.act_scale_format:
            object.__setattr__(self, "act_scale_format", self.arithmetic)
        if not self.arithmetic.fraction:
            raise ValueError("Drain arithmetic must have a fraction, not 0 bits of it")
        if self.requantize and self.floating:
            raise ValueError("Drain requantize must follow integer steps, not floating scales")
        if self.requantize and self.accumulator.bits > 32:
            raise ValueError(f"Drain accumulator must have at most 32 bits to requantize, not {self.accumulator.bits}")
        if not 2 <= self.multiplier_bits <= 31:
            raise ValueError(f"Drain multiplier_bits must be from 2 to 31, not {self.multiplier_bits}")
        if self.clamp and not self.clamp[0] <= self.clamp[1]:
            raise ValueError(f"Drain clamp must be two numbers, the lower first, not {self.clamp}")
        if self.clamp and not self.floating and not all(isinstance(bound, int) for bound in self.clamp):
            raise ValueError(f"Drain clamp must be two integers where y is an integer, not {self.clamp}")
        if self.clamp and not self.floating and not all(-(1 << 63) <= bound < 1 << 63 for bound in self.clamp):
            raise ValueError(f"Drain clamp must be two integers of 64 bits where y is an integer, not {self.clamp}")

    def _check_float_sums(self) -> None:
        if not self.sums:
            return
        if self.weight_zero or self.act_zero or not isinstance(self.scale, FloatShape | None):
            raise ValueError("Drain zero points must be none, and its scale a float or none, where sums are floats")
        if self.sums.exponent != self.arithmetic.exponent or not self.arithmetic.holds(self.sums):
            raise ValueError(
                f"Drain arithmetic must have the {self.sums.exponent} exponent bits of the sums, and at least their "
                f"{self.sums.fraction} of fraction, not {self.arithmetic.exponent} and {self.arithmetic.fraction}"
            )

    @property
    def accumulates_floats(self) -> bool:
        """Whether step 3 adds floats."""
        return isinstance(self.scale, FloatShape) or self.act_scale == "group" or self.sums is not None

    @property
    def floating(self) -> bool:
        """Whether the result is a float."""
        return self.accumulates_floats or self.act_scale == "row" or self.channel_scale

    @property
    def column_fields(self) -> tuple[str, ...]:
        """Parameters of a column and group."""
        present = {"weight_zero": self.weight_zero, "column_sum": self.act_zero, "scale": self.scale}
        return tuple(name for name, given in present.items() if given)

    @property
    def row_fields(self) -> tuple[str, ...]:
        """Parameters of a row and group."""
        present = {"act_zero": self.act_zero, "act_scale": self.act_scale != "none"}
        return tuple(name for name, given in present.items() if given)

    @property
    def output_fields(self) -> tuple[str, ...]:
        """Parameters of a column."""
        present = {"channel_scale": self.channel_scale, "bias": self.bias}
        present |= dict.fromkeys(("multiplier", "shift"), self.requantize)
        return tuple(name for name, given in present.items() if given)

    @property
    def scale_interval(self) -> Interval:
        """Of an integer scale; 1 if there is none."""
        if self.scale is None:
            return Interval(1, 1)
        return self.scale.fixed.interval.sum_of(self.scale_terms)


def drain(sums: np.ndarray, row_sums: np.ndarray, parameters: Mapping[str, np.ndarray], config: Drain) -> np.ndarray:
    """What a drain edge makes of the sums of a product.

    Parameters
    ----------
    sums : integer array (G, M, N)
        Integers, or codes of ``config.sums``.
    row_sums : integer array (G, M)
        Sums of the activations' integers.
    parameters : mapping
        For each of ``config.column_fields`` an array (G, N), of ``row_fields`` (G, M), of ``output_fields`` (N,):
        integers; codes of floats and of powers of two, of which ``scale`` has one more axis in front, the terms.
    config : Drain

    Returns
    -------
    array (M, N)
        Integers, int64 or objects as `sw_ref.wide` says; where ``config.floating``, codes of floats, uint32.

    Raises
    ------
    ValueError
        If the accumulator refuses a sum that it does not hold.
    """
    if not config.accumulates_floats:
        return _drain_rows(sums, row_sums, parameters, config)
    # floats are computed in many steps: some rows at a time, which a processor's cache holds
    groups, m, n = sums.shape
    height = max(1, _AT_ONCE // (groups * n))
    return np.concatenate(
        [
            _drain_rows(
                sums[:, rows],
                row_sums[:, rows] if config.weight_zero else row_sums,
                {**parameters, **{name: parameters[name][:, rows] for name in config.row_fields}},
                config,
            )
            for rows in (slice(start, start + height) for start in range(0, m, height))
        ]
    )


def _drain_rows(
    sums: np.ndarray, row_sums: np.ndarray, parameters: Mapping[str, np.ndarray], config: Drain
) -> np.ndarray:
    """As `drain`, of rows that may be some of a product's."""
    centred = sums
    if config.weight_zero:
        centred = _less_product(centred, parameters["weight_zero"][:, None, :], row_sums[:, :, None])
    if config.act_zero:
        centred = _less_product(centred, parameters["act_zero"][:, :, None], parameters["column_sum"][:, None, :])
    terms = _scaled_integers(centred, parameters, config)
    if config.accumulates_floats:
        y = _accumulate_floats(terms, parameters, config)
    else:
        y = _accumulate_integers(terms, config)
    return _finish_floats(y, parameters, config) if config.floating else _finish_integers(y, parameters, config)


def _less_product(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return exactly(lambda x, y, z: x - y * z, x, y, z)


def _scaled_integers(centred: np.ndarray, parameters: Mapping[str, np.ndarray], config: Drain) -> np.ndarray:
    """Step 2, as far as it is exact."""
    if isinstance(config.scale, PowerOfTwo):
        return exactly(operator.mul, centred, config.scale.to_fixed(parameters["scale"]).sum(axis=0)[:, None, :])
    if isinstance(config.scale, Int):
        return exactly(operator.mul, centred, parameters["scale"][:, None, :])
    return centred


def _accumulate_integers(terms: np.ndarray, config: Drain) -> np.ndarray:
    if config.accumulator.overflow != "saturate":
        return config.accumulator.apply(reduce(partial(exactly, operator.add), terms))
    y = np.zeros(terms.shape[1:], integer_type(config.accumulator.bits))
    for term in terms:
        y = config.accumulator.apply(exactly(operator.add, y, term))
    return y


def _accumulate_floats(terms: np.ndarray, parameters: Mapping[str, np.ndarray], config: Drain) -> np.ndarray:
    floats = config.arithmetic
    terms = floats.encode(config.sums.decode(terms)) if config.sums else floats.from_integer(terms)
    if isinstance(config.scale, FloatShape):
        terms = floats.multiply(terms, parameters["scale"][:, None, :], config.scale)
    if config.act_scale == "group":
        terms = floats.multiply(terms, parameters["act_scale"][:, :, None], config.act_scale_format)
    y = terms[0]
    for term in terms[1:]:
        y = floats.add(y, term)
    return y


def _finish_floats(y: np.ndarray, parameters: Mapping[str, np.ndarray], config: Drain) -> np.ndarray:
    floats = config.arithmetic
    if not config.accumulates_floats:
        y = floats.from_integer(y)
    if config.channel_scale:
        y = floats.multiply(y, parameters["channel_scale"])
    if config.act_scale == "row":
        # that of the last group
        y = floats.multiply(y, parameters["act_scale"][-1][:, None], config.act_scale_format)
    if config.bias:
        y = floats.add(y, parameters["bias"])
    if config.clamp or config.relu:
        real = floats.decode(y)
        if config.clamp:
            low, high = (floats.decode(floats.encode(bound)) for bound in config.clamp)
            real = np.where(real < low, low, np.where(real > high, high, real))
        # a NaN stays one, and -0 becomes 0
        y = floats.encode(np.where(real <= 0, 0.0, real) if config.relu else real)
    return y


def _finish_integers(y: np.ndarray, parameters: Mapping[str, np.ndarray], config: Drain) -> np.ndarray:
    if config.bias:
        y = config.accumulator.apply(exactly(operator.add, y, parameters["bias"]))
    if config.requantize:
        form = config.requantize
        y = requantize(y, parameters["multiplier"], parameters["shift"], bits=form.bits, signed=form.signed)
    if config.clamp:
        y = np.clip(y, *config.clamp)
    return np.maximum(y, 0) if config.relu else y
