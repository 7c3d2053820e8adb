"""The drain edge: what becomes of the sums of a matrix product, once a group, and once at the end."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import TypeVar

import numpy as np

from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_codes import (
    add,
    from_integer,
    has_fields_of,
    infinity_and_nan,
    is_result_format,
    round_to,
    value_of,
)
from sw_ref.drain.step import Kind, Parameter, Sizes, Stage, Step
from sw_ref.drain.steps import STEPS
from sw_ref.fields import one_of
from sw_ref.formats.minifloat import FP32, Float
from sw_ref.interval import Interval
from sw_ref.wide import exactly, integer_type

__all__ = ["Drain", "drain"]

# Sums that are brought to floats and added at a time.
_AT_ONCE = 1 << 19

_Step = TypeVar("_Step", bound=Step)


@dataclass(frozen=True, kw_only=True)
class Drain:
    """A list of steps, see `sw_ref.drain.steps`, and the sum between those of each sum and those of a total.

    For each of the sums of an element (m, n) of C, in the order in which they come (g counts groups, and passes)::

        t = sum[g,m,n], through all steps of the stage "term"
        y = y + t, where y starts as the first t

    and after the last of them y goes through all steps of the stage "total".

    Numbers are exact integers until a step wants floats, and from then on floats: each step rounds its result to
    nearest even, as `sw_ref.arith.float_codes` says. An integer becomes a float in a rounding of its own.
    MixPE (arXiv 2411.16158) scales each group's sum so, once.

    Parameters
    ----------
    steps : tuple of Step
        In their order.
    sums : Float or None
        Format of the sums, if they are floats; of the exponent of ``arithmetic``, which holds them.
    accumulator : Accumulator
        Where t is an integer: what is kept of the sum.
    arithmetic : Float
        The floats.

    Raises
    ------
    ValueError
        If the steps do not fit each other.
    """

    steps: tuple[Step, ...] = ()
    sums: Float | None = None
    accumulator: Accumulator = field(default_factory=lambda: Accumulator(32))
    arithmetic: Float = FP32

    def __post_init__(self) -> None:
        infinity_and_nan(self.arithmetic)
        for step in self.steps:
            step.check(self)
        floats, sums = self.arithmetic, self.sums
        if sums and (sums.exponent != floats.exponent or not has_fields_of(floats, sums)):
            raise ValueError(
                f"Drain arithmetic must have the {sums.exponent} exponent bits of the sums, and at least their "
                f"{sums.fraction} of fraction, not {floats.exponent} and {floats.fraction}"
            )

    @classmethod
    def of(
        cls,
        *,
        sums: Float | None = None,
        accumulator: Accumulator | None = None,
        arithmetic: Float = FP32,
        **values: object,
    ) -> Drain:
        """The edge with the steps that these values of their fields, such as ``scale=FP32``, ask for."""
        known = [key.name for step in STEPS for key in step.keys]
        for name in values:
            one_of("Drain key", name, known)
        steps = tuple(step for kind in STEPS if (step := kind.of(values)) is not None)
        return cls(steps=steps, sums=sums, accumulator=accumulator or Accumulator(32), arithmetic=arithmetic)

    def find(self, kind: type[_Step]) -> _Step | None:
        """The step of this kind, if there is one."""
        return next((step for step in self.steps if isinstance(step, kind)), None)

    def stage(self, stage: Stage) -> tuple[Step, ...]:
        """The steps of a stage."""
        return tuple(step for step in self.steps if step.stage == stage)

    def check_factor(self, key: str, form: Float) -> None:
        """Raise ValueError unless the arithmetic takes factors of this format, and its fields are as wide as theirs."""
        if not is_result_format(form) and form.lowest == "subnormal":
            raise ValueError(
                f"Drain {key} must be a float with infinities, such as e5m3_ieee, or e8m0, and not {form.name}, whose "
                "subnormals would be flushed"
            )
        if not has_fields_of(self.arithmetic, form):
            raise ValueError(
                f"Drain {key} must be a float that the arithmetic of {self.arithmetic.bits} bits holds, not one "
                f"of {form.exponent} exponent and {form.fraction} fraction bits"
            )

    @property
    def nan(self) -> int:
        """The code that is the result of operands which are not finite, where results are floats."""
        return infinity_and_nan(self.arithmetic)[1]

    @property
    def accumulates_floats(self) -> bool:
        """Whether floats are added up."""
        return self.sums is not None or any(step.wants_floats for step in self.stage("term"))

    @property
    def floating(self) -> bool:
        """Whether the result is a float."""
        return self.sums is not None or any(step.wants_floats for step in self.steps)

    @property
    def takes_row_sums(self) -> bool:
        """Whether a step takes the sums of a row's activations."""
        return any(step.takes_row_sums for step in self.steps)

    @property
    def adds_bias(self) -> bool:
        """Whether a step adds a layer's bias."""
        return any(step.adds_bias for step in self.steps)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What all steps take, in the order of a beat."""
        return tuple(parameter for step in self.steps for parameter in step.parameters(self))

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Names of the parameters of a kind, in the order of a beat."""
        return tuple(parameter.name for parameter in self.parameters if parameter.kind == kind)

    def term_interval(self, sums: Interval, sizes: Sizes) -> Interval:
        """What integers come to before they are added up, or become floats."""
        interval = Interval(0, 0) if self.sums else sums
        for step in self.stage("term"):
            if step.wants_floats:
                break
            interval = step.interval(interval, sizes, self)
        return interval

    def result_interval(self, sizes: Sizes) -> Interval:
        """What results that are integers can be."""
        interval = self.accumulator.interval
        for step in self.stage("total"):
            interval = step.interval(interval, sizes, self)
        return interval


def drain(sums: np.ndarray, row_sums: np.ndarray, parameters: Mapping[str, np.ndarray], config: Drain) -> np.ndarray:
    """What a drain edge makes of the sums of a product.

    Parameters
    ----------
    sums : integer array (G, M, N)
        Integers, or codes of ``config.sums``.
    row_sums : integer array (G, M)
        Sums of the activations' integers; only read where ``config.takes_row_sums``.
    parameters : mapping
        For each of ``config.parameters`` an array as `sw_ref.drain.step.Parameter` says: integers; codes of floats and
        of powers of two.
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
                row_sums[:, rows] if config.takes_row_sums else row_sums,
                {**parameters, **{name: parameters[name][:, rows] for name in config.names("row")}},
                config,
            )
            for rows in (slice(start, start + height) for start in range(0, m, height))
        ]
    )


def _drain_rows(
    sums: np.ndarray, row_sums: np.ndarray, parameters: Mapping[str, np.ndarray], config: Drain
) -> np.ndarray:
    """As `drain`, of rows that may be some of a product's."""
    floats = config.arithmetic
    y, is_float = sums, config.sums is not None
    if config.sums:
        y = round_to(floats, value_of(config.sums, sums))
    for step in config.stage("term"):
        y, is_float = _taken(step, y, is_float, floats)
        y = step.compute(y, _broadcast(step, parameters, config, row_sums), config)
    y = reduce(partial(add, floats), y) if is_float else _accumulate_integers(y, config)
    for step in config.stage("total"):
        y, is_float = _taken(step, y, is_float, floats)
        y = step.compute(y, _broadcast(step, parameters, config), config)
    return y


def _taken(step: Step, y: np.ndarray, is_float: bool, floats: Float) -> tuple[np.ndarray, bool]:
    """What a step is given, and whether that is floats."""
    if step.wants_floats and not is_float:
        return from_integer(floats, y), True
    return y, is_float


def _broadcast(
    step: Step, parameters: Mapping[str, np.ndarray], config: Drain, row_sums: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The parameters of a step so shaped that they broadcast over what it takes."""
    found = {}
    for parameter in step.parameters(config):
        array = parameters[parameter.name]
        if step.stage == "term":
            found[parameter.name] = array[..., None, :] if parameter.kind == "column" else array[:, :, None]
        else:
            # of rows, that of the last group
            found[parameter.name] = array[-1][:, None] if parameter.kind == "row" else array
    if step.takes_row_sums and row_sums is not None:
        found["row_sum"] = row_sums[:, :, None]
    return found


def _accumulate_integers(terms: np.ndarray, config: Drain) -> np.ndarray:
    if config.accumulator.overflow != "saturate":
        return config.accumulator.apply(reduce(partial(exactly, operator.add), terms))
    y = np.zeros(terms.shape[1:], integer_type(config.accumulator.bits))
    for term in terms:
        y = config.accumulator.apply(exactly(operator.add, y, term))
    return y
