"""The parameters of a drain edge: scales, zero points and sums of quantized operands, in its own formats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from macforge.scaling import Scaling
from pe.base import PE
from sw_ref.bcq import power_terms
from sw_ref.binary_float import FloatShape
from sw_ref.drain import Drain
from sw_ref.formats import Format, Int
from sw_ref.nonfinite import zeroed
from sw_ref.requantize import INTEGERS, MOST_SHIFT, dyadic
from sw_ref.signs import PowerOfTwo

__all__ = ["Pass", "Segment", "drain_parameters"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Pass:
    """One pass of weights: a weight is the sum over all passes of ``real * integer * (value - zero)``.

    ``codes`` (K, N); ``integer`` and ``zero`` (G, N) int64, ``real`` (G, N) float32. ``overall`` is a factor of all.
    """

    codes: np.ndarray
    integer: np.ndarray
    real: np.ndarray
    zero: np.ndarray
    overall: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Segment:
    """A group of activations, or one digit of it: an activation is the sum of ``factor * scale * (value - zero)``.

    ``codes`` (M, K of the group), ``scale`` (M,) float32, ``zero`` (M,) int64, ``group`` is the group's number, and
    ``overall`` a factor of all.
    """

    group: int
    codes: np.ndarray
    factor: int
    scale: np.ndarray
    zero: np.ndarray
    overall: float = 1.0


def drain_parameters(
    drain: Drain,
    pe: PE,
    segments: Sequence[Segment],
    passes: Sequence[Pass],
    bias: np.ndarray,
    reference: np.ndarray | None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What a drain edge takes to turn the sums of all passes and segments into the product.

    Scales may be of any magnitude: where their floats, or those that they lead to, have too short exponents, a power of
    two is taken out of all of them, and is part of the scale that is left. A scale of 0 stands for operands that are
    all 0.

    Parameters
    ----------
    drain : Drain
    pe : PE
    segments, passes
        Operands; sums come segment by segment, pass by pass.
    bias : float64 array (N,)
    reference : float64 array (M, N)
        About what will come out, to calibrate the scale of requantized results; None if there are none.

    Returns
    -------
    dict of array
        See `sw_ref.drain.drain`.
    float64 array, broadcasting to (M, N)
        The scale that is left to others.

    Raises
    ------
    ValueError
        If the drain edge lacks a step that these operands need, or its formats cannot hold what they give.
    """
    pairs = _Pairs(pe, drain, [(one, segment) for one in passes for segment in segments])
    given = {
        "weight_zero": np.stack([one.zero[s.group] for one, s in pairs.pairs]),
        "act_zero": np.stack([s.zero for _one, s in pairs.pairs]),
    }
    if drain.act_zero:
        given["column_sum"] = pairs.column_sums()
    _check_zeros(drain, given)
    scale, channel = _weight_scales(drain, pe, pairs.pairs)
    channel = channel * (passes[0].overall * segments[0].overall)
    act_scale = np.stack([s.scale for _one, s in pairs.pairs]).astype(np.float64)
    left = np.ones((1, 1))
    if not drain.channel_scale:
        left = left * channel
    if drain.act_scale != "group":
        row_scale = _same("Activation scales", "all groups", act_scale)[:, None]
        left = left * row_scale if drain.act_scale == "none" else left
    if drain.floating:
        steps, exponent = _float_steps(drain, pairs, scale, channel, act_scale, _offset(drain, bias, left))
        left = left * 2.0**exponent
    else:
        steps, left = _integer_steps(drain, scale, bias, reference, left)
    wanted = (*drain.column_fields, *drain.row_fields, *drain.output_fields)
    return {name: (given | steps)[name] for name in wanted}, left


class _Pairs:
    """All sums of an element: pairs of a pass and a segment, and how large they may be."""

    def __init__(self, pe: PE, drain: Drain, pairs: list[tuple[Pass, Segment]]) -> None:
        self._pe, self._floats = pe, drain.sums is not None
        self.pairs = pairs
        self._starts, total = {}, 0
        for _one, segment in pairs:
            if segment.group not in self._starts:
                self._starts[segment.group] = total
                total += segment.codes.shape[1]

    def column_sums(self) -> np.ndarray:
        """``sum over k of (value - zero)`` of each column, for each sum (P, N)."""
        return np.stack(
            [self._pe.weight.to_fixed(self._codes(*pair)).sum(axis=0) - self._zeros(*pair) for pair in self.pairs]
        )

    def sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """For each pair, row sums of ``|value - zero|`` of activations (P, M), and their largest of weights (P, N).

        The product of the two is at least the magnitude of a sum.
        """
        rows, columns = {}, {}
        for one, segment in self.pairs:
            if id(segment) not in rows:
                rows[id(segment)] = np.abs(self._values(self._pe.act, segment.codes) - segment.zero[:, None]).sum(
                    axis=1
                )
            if (id(one), segment.group) not in columns:
                values = self._values(self._pe.weight, self._codes(one, segment))
                columns[id(one), segment.group] = np.abs(values - one.zero[segment.group]).max(axis=0)
        return (
            np.stack([rows[id(segment)] for _one, segment in self.pairs]),
            np.stack([columns[id(one), segment.group] for one, segment in self.pairs]),
        )

    def _codes(self, one: Pass, segment: Segment) -> np.ndarray:
        return one.codes[self._starts[segment.group] :][: segment.codes.shape[1]]

    def _zeros(self, one: Pass, segment: Segment) -> np.ndarray:
        return segment.codes.shape[1] * one.zero[segment.group]

    def _values(self, form: Format, codes: np.ndarray) -> np.ndarray:
        """What sums are made of: integers, or the numbers themselves where sums are floats; as float64."""
        codes = zeroed(form, codes)
        return form.decode(codes) if self._floats else form.to_fixed(codes).astype(np.float64)


def _offset(drain: Drain, bias: np.ndarray, left: np.ndarray) -> np.ndarray:
    """The bias in the unit of the results of a floating drain edge (N,)."""
    if not drain.bias:
        return np.zeros_like(bias)
    unit = _same("Activation scales", "all rows, under a bias,", left)
    # what is left of a column of zeros may be anything
    return bias / np.where(unit == 0, 1, unit)


def _float_steps(
    drain: Drain, pairs: _Pairs, scale: np.ndarray | None, channel: np.ndarray, act_scale: np.ndarray, bias: np.ndarray
) -> tuple[dict[str, np.ndarray], int]:
    """Parameters of a floating drain edge, and the power of two that was taken out."""
    rows, columns = pairs.sizes()
    if scale is not None:
        powers = isinstance(drain.scale, PowerOfTwo)
        columns = columns * np.abs(drain.scale.to_fixed(scale).sum(axis=0) if powers else scale)
    bound = rows.T @ columns
    factors = []
    if isinstance(drain.scale, FloatShape):
        factors.append(("scale", drain.scale, scale, bound))
    if drain.act_scale == "group":
        bound = (rows * act_scale).T @ columns
        factors.append(("act_scale", drain.act_scale_format, act_scale, bound))
    if drain.channel_scale:
        bound = bound * np.abs(channel)
        factors.append(("channel_scale", drain.arithmetic, channel, bound))
    if drain.act_scale == "row":
        bound = bound * act_scale[-1][:, None]
        factors.append(("act_scale", drain.act_scale_format, act_scale, bound))
    scaling, steps = Scaling(arithmetic=drain.arithmetic), {"scale": scale}
    for name, shape, values, after in factors:
        after = after + np.abs(bias) if name == factors[-1][0] else after
        steps[name] = scaling.factor(name, shape, values, after)
    if drain.bias:
        steps["bias"] = _float_bias(drain, np.ldexp(bias, -scaling.exponent))
    if scaling.exponent and drain.clamp:
        raise ValueError(
            f"Drain clamp must be left out for results so large or small that {drain.arithmetic.exponent} exponent "
            f"bits hold them only over 2**{scaling.exponent}"
        )
    return steps, scaling.exponent


def _float_bias(drain: Drain, bias: np.ndarray) -> np.ndarray:
    codes = drain.arithmetic.encode(bias)
    if not np.isfinite(drain.arithmetic.decode(codes)).all():
        raise ValueError(
            f"Drain bias must be a float of {drain.arithmetic.exponent} exponent bits, which {np.abs(bias).max():.3g} "
            "is not; float32 and bfloat16 have 8"
        )
    return codes


def _integer_steps(
    drain: Drain, scale: np.ndarray | None, bias: np.ndarray, reference: np.ndarray | None, left: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters of a drain edge whose results are integers, and the scale that is left."""
    steps = {"scale": scale}
    if not (drain.bias or drain.requantize):
        return steps, left
    unit = _same("Activation scales", "all rows, under a bias or requantization,", left)
    step = 1.0
    if drain.requantize:
        # no smaller than a multiplier can bring sums to
        least = unit.max() / 2.0 ** (drain.multiplier_bits - 1)
        step = _short(max(np.abs(reference).max() / drain.requantize.interval.hi, least) or 1.0)
    # where all sums are 0, the bias alone counts, and the unit may be anything
    unit = np.where(unit == 0, np.maximum(np.abs(bias), step) / 2**16, unit)
    if drain.bias:
        steps["bias"] = _integer_bias(bias, unit)
    if drain.requantize:
        # what is less rounds every sum to 0, too
        ratio = np.maximum(unit / step, 2.0 ** (drain.multiplier_bits - MOST_SHIFT))
        steps["multiplier"], steps["shift"] = dyadic(ratio.astype(np.float32), bits=drain.multiplier_bits)
        return steps, np.full((1, 1), step)
    return steps, unit[None]


def _integer_bias(bias: np.ndarray, unit: np.ndarray) -> np.ndarray:
    integers = np.rint(bias / unit)
    wrong = ~((integers >= INTEGERS.lo) & (integers <= INTEGERS.hi))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"bias[{at}] must be at most 2**31 units of its column's sums, {unit[at]:.3g} each, not {bias[at]:.3g}"
        )
    return integers.astype(np.int64)


def _short(x: float) -> float:
    """``x`` rounded to the bits of a float32, whatever its exponent."""
    mantissa, exponent = np.frexp(x)
    return float(np.ldexp(np.float64(np.float32(mantissa)), exponent))


def _weight_scales(drain: Drain, pe: PE, pairs: Sequence[tuple[Pass, Segment]]) -> tuple[np.ndarray | None, np.ndarray]:
    """Scales of groups, as numbers if they are floats and else as codes, and those of columns (N,), in float64."""
    integer = np.stack([one.integer[s.group] * s.factor for one, s in pairs])
    # floats are what they are
    unit = 0 if drain.sums else pe.rule.lsb + pe.act.fixed.lsb + pe.weight.fixed.lsb
    real = np.stack([one.real[s.group] for one, s in pairs]) * np.ldexp(1.0, unit)
    if isinstance(drain.scale, FloatShape):
        return integer * real, np.ones(real.shape[1])
    if isinstance(drain.scale, PowerOfTwo):
        return _powers(drain, integer, real, len({id(one) for one, _s in pairs}))
    if not drain.scale and (integer != 1).any():
        raise ValueError("Drain scale must not be none where weights or activations come in digits or groups")
    return integer if drain.scale else None, _same("Weight scales", "all groups", real)


def _check_zeros(drain: Drain, parameters: dict[str, np.ndarray]) -> None:
    for side in ("weight_zero", "act_zero"):
        form: Int | None = getattr(drain, side)
        zeros = parameters[side]
        if form is None and zeros.any():
            raise ValueError(f"Drain {side} must not be none: the quantizer gives zero points, such as {zeros.max()}")
        if form is not None and (zeros.min() < form.interval.lo or zeros.max() > form.interval.hi):
            raise ValueError(
                f"Drain {side} must hold zero points from {zeros.min()} to {zeros.max()}, which {form.name} does not"
            )


def _same(what: str, where: str, scales: np.ndarray) -> np.ndarray:
    """Scales (several, ...) of which all are the same."""
    if (scales != scales[0]).any():
        raise ValueError(f"{what} must be the same for {where} where the drain edge has none for each")
    return scales[0].astype(np.float64)


def _powers(drain: Drain, integer: np.ndarray, real: np.ndarray, passes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scales as sums of powers of two, ``channel * sum over terms of +-2**e``: codes (terms, sums, N), channel (N,).

    Exponents count from the largest of a column, and what lies below the smallest is dropped.
    """
    constant = (real == real[0]).all()
    signs, exponents = power_terms(integer if constant else integer * real, drain.scale_terms)
    top = len(drain.scale.terms[0]) - 2
    highest = np.where(signs != 0, exponents.astype(np.int64), -128).max(axis=(0, 1))
    base = np.zeros_like(highest) if constant else highest - top
    steps = exponents - base
    if constant and (steps > top).any():
        raise ValueError(
            f"Drain scale must hold powers of two up to 2**{steps.max()}, which {drain.scale.name} does not"
        )
    values = np.where((signs != 0) & (steps >= 0), signs * np.ldexp(1.0, steps), 0.0)
    _check_kept(drain, integer * real, values.any(axis=0), passes)
    channel = np.where((signs != 0).any(axis=(0, 1)), np.ldexp(1.0, base), 0.0) * (real[0] if constant else 1.0)
    return drain.scale.encode(values), channel.astype(np.float64)


def _check_kept(drain: Drain, scales: np.ndarray, kept: np.ndarray, passes: int) -> None:
    """Every group must keep one of its passes' scales, other than 0, of (sums, N)."""
    some, left = ((x.reshape(passes, -1, x.shape[1])).any(axis=0) for x in (scales != 0, kept))
    if (some & ~left).any():
        sizes = np.abs(scales).reshape(passes, -1, scales.shape[1]).max(axis=0)
        at = int(np.argwhere(some & ~left)[0, 1])
        least, most = sizes[some[:, at], at].min(), sizes[:, at].max()
        raise ValueError(
            f"Drain scale must hold scales of column {at} from {least:.3g} to {most:.3g}, which lie too far apart for "
            f"powers of two of {drain.scale.name}"
        )
