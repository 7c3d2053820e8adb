"""A program: what a design's engine is given of a layer's weights, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from macforge.compile.layout import Segment
from macforge.design.target import Target
from sw_ref.quantize.uniform import Quantized

__all__ = ["ActPlan", "Part", "Program", "summary"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ActPlan:
    """How activations are to be prepared.

    Parameters
    ----------
    group : int
        Products along K that make one sum.
    segments : tuple of Segment
        How K is cut; their codes lie side by side.
    order : int64 array (K,), optional
        Which channel of the activations is which K, if their order is another.
    wide : bool array (groups,)
        Which groups have the format for outliers.
    static : Quantized, optional
        Calibration's activations, in whose scale and zero point all are coded; without it, each has its own.
    exponent : int
        Power of two that was taken out of the calibration's activations.
    given : Quantized, optional
        What a file says instead of a calibration: the format, scale and zero point in which all are coded first.
    """

    group: int
    segments: tuple[Segment, ...]
    wide: np.ndarray
    order: np.ndarray | None = None
    static: Quantized | None = None
    exponent: int = 0
    given: Quantized | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """Columns of one precision: a product of its own.

    Sums come pass by pass, and in each segment by segment: P of them.

    Parameters
    ----------
    columns : int64 array (N,)
        Which columns of the result.
    codes : uint32 array (passes, K of all segments, N)
    parameters : mapping
        What the drain edge takes of weights, see `sw_ref.drain.edge.drain`: codes and integers.
    channel : float64 array (N,)
        Scale of each column that is applied after all groups, in the drain edge or by whoever reads the results.
    size : float64 array (P, N)
        Of each sum, the largest magnitude of a weight, in units of the results before that scale.
    exponent : int
        The scales of groups are ``2**exponent`` times less than what is meant.
    bias : float64 array (N,)
        What is added, in the drain edge if it adds one.
    """

    columns: np.ndarray
    codes: np.ndarray
    parameters: Mapping[str, np.ndarray]
    channel: np.ndarray
    size: np.ndarray
    exponent: int
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """A layer ``C = act @ weight + bias`` as a design computes it, for any activations.

    Parameters
    ----------
    target : Target
        What the design that it is for looks like from outside.
    k, n : int
        Rows and columns of the weights.
    exponent : int
        Power of two that was taken out of the weights.
    integral : bool
        Whether the weights were integers, which stand for themselves.
    acts : ActPlan or None
    parts : tuple of Part
    weight : Quantized or None
        The weights, where a design has no drain edge; then there are no parts, and ``acts`` only of stored weights.
    offset : float64 array (G, N), optional
        What is added to each weight of a group, where a design has no drain edge.
    """

    target: Target
    k: int
    n: int
    exponent: int
    integral: bool
    acts: ActPlan | None = None
    parts: tuple[Part, ...] = ()
    weight: Quantized | None = None
    offset: np.ndarray | None = None

    @property
    def plan(self) -> ActPlan:
        """How activations are cut, where the design has a drain edge."""
        assert self.acts is not None
        return self.acts


def summary(program: Program) -> dict[str, object]:
    """What a program is, in one row: ``sums`` is how many an element of the result is made of, in all its parts."""
    weight = sum(part.codes.size for part in program.parts) if program.weight is None else program.weight.codes.size
    return {
        "design": program.target.name,
        "k": program.k,
        "n": program.n,
        "group": program.acts.group if program.acts else program.target.group_size or program.k,
        "passes": max((len(part.codes) for part in program.parts), default=1),
        "sums": sum(len(part.size) for part in program.parts) or 1,
        "weight_codes": weight,
        "weight_bits": program.target.weight.bits,
        "calibrated": bool(program.acts and program.acts.static is not None),
    }
