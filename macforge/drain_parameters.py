"""The parameters of a drain edge: scales, zero points and sums of quantized operands, in its own formats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pe.base import PE
from sw_ref.bcq import power_terms
from sw_ref.binary_float import FloatShape
from sw_ref.drain import Drain
from sw_ref.formats import Int
from sw_ref.requantize import dyadic
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
    reference: np.ndarray,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What a drain edge takes to turn the sums of all passes and segments into the product.

    Parameters
    ----------
    drain : Drain
    pe : PE
    segments, passes
        Operands; sums come segment by segment, pass by pass.
    bias : real array (N,)
    reference : real array (M, N)
        About what will come out, to calibrate the scale of requantized results.

    Returns
    -------
    dict of array
        See `sw_ref.drain.drain`.
    float64 array, broadcasting to (M, N)
        The scale that is left to others.

    Raises
    ------
    ValueError
        If the drain edge lacks a step that these operands need.
    """
    pairs = [(one, segment) for one in passes for segment in segments]
    given = {
        "weight_zero": np.stack([one.zero[s.group] for one, s in pairs]),
        "act_zero": np.stack([s.zero for _one, s in pairs]),
        "column_sum": _column_sums(pe, pairs),
    }
    _check_zeros(drain, given)
    given["scale"], channel = _weight_scales(drain, pe, pairs)
    channel = channel * (np.float32(passes[0].overall) * np.float32(segments[0].overall))
    act_scale = np.stack([s.scale for _one, s in pairs])
    left = np.ones((1, 1))
    if not drain.channel_scale:
        left = left * channel
    if drain.act_scale == "none":
        left = left * _same("Activation scales", act_scale)[:, None]
    given["channel_scale"] = drain.arithmetic.encode(channel)
    given["act_scale"] = _floats("act_scale", drain.act_scale_format, act_scale)
    given["bias"] = drain.arithmetic.encode(bias)
    if not drain.floating and (drain.bias or drain.requantize):
        unit = _same("Activation scales", left)
        given["bias"] = np.rint(bias / unit).astype(np.int64)
        if drain.requantize:
            most = max(np.abs(reference).max(), np.finfo(np.float32).tiny)
            step = np.float32(most / drain.requantize.interval.hi)
            given["multiplier"], given["shift"] = dyadic((unit / step).astype(np.float32), bits=drain.multiplier_bits)
            left = np.full((1, 1), step, np.float64)
    wanted = (*drain.column_fields, *drain.row_fields, *drain.output_fields)
    return {name: given[name] for name in wanted}, left


def _weight_scales(drain: Drain, pe: PE, pairs: Sequence[tuple[Pass, Segment]]) -> tuple[np.ndarray, np.ndarray]:
    """Scales of groups in the drain edge's format, and of columns (N,), in float64."""
    integer = np.stack([one.integer[s.group] * s.factor for one, s in pairs])
    # floats are what they are
    unit = 0 if drain.sums else pe.rule.lsb + pe.act.fixed.lsb + pe.weight.fixed.lsb
    real = np.stack([one.real[s.group] for one, s in pairs]) * np.ldexp(1.0, unit)
    if isinstance(drain.scale, FloatShape):
        return _floats("scale", drain.scale, integer * real), np.ones(real.shape[1])
    if isinstance(drain.scale, PowerOfTwo):
        return _powers(drain, integer, real)
    if not drain.scale and (integer != 1).any():
        raise ValueError("Drain scale must not be none where weights or activations come in digits or groups")
    return integer, _same("Weight scales", real)


def _floats(name: str, shape: FloatShape, scales: np.ndarray) -> np.ndarray:
    codes = shape.encode(scales)
    lost = (scales != 0) & ((shape.decode(codes) == 0) | ~np.isfinite(shape.decode(codes)))
    if lost.any():
        least, most = np.abs(scales[scales != 0]).min(), np.abs(scales).max()
        raise ValueError(
            f"Drain {name} must hold scales from {least:.3g} to {most:.3g}, which a float of {shape.exponent} exponent "
            "bits does not; float32 and bfloat16 have 8"
        )
    return codes


def _column_sums(pe: PE, pairs: list[tuple[Pass, Segment]]) -> np.ndarray:
    """``sum over k of (value - zero)`` of each column, for each sum."""
    starts, total = {}, 0
    for _one, segment in pairs:
        if segment.group not in starts:
            starts[segment.group] = total
            total += segment.codes.shape[1]
    sums = []
    for one, segment in pairs:
        count = segment.codes.shape[1]
        values = pe.weight.to_fixed(one.codes[starts[segment.group] :][:count])
        sums.append(values.sum(axis=0) - count * one.zero[segment.group])
    return np.stack(sums)


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


def _same(what: str, scales: np.ndarray) -> np.ndarray:
    """Scales (sums, ...) that are the same for all sums."""
    if (scales != scales[0]).any():
        raise ValueError(f"{what} must be the same for all groups where the drain edge has none for each")
    return scales[0].astype(np.float64)


def _powers(drain: Drain, integer: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    channel = np.ldexp(1.0, base) * (real[0] if constant else 1.0)
    return drain.scale.encode(values), channel.astype(np.float64)
