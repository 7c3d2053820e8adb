"""What a drain edge takes of weights: scales, zero points and sums, in its own formats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from macforge.compile.layout import Segment
from macforge.compile.program import ActPlan, Part
from macforge.compile.scaling import Scaling
from macforge.compile.weights import Pass
from macforge.design.target import Target
from sw_ref.arith.float_codes import round_to
from sw_ref.drain.edge import Drain
from sw_ref.drain.requantize import INTEGERS, MOST_SHIFT, dyadic
from sw_ref.drain.steps.bias import Bias
from sw_ref.drain.steps.offset import Offset
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.drain.steps.scale import Scale
from sw_ref.drain.steps.zero_points import ZeroPoints
from sw_ref.formats.base import Format
from sw_ref.formats.minifloat import Float
from sw_ref.formats.nonfinite import zeroed
from sw_ref.formats.signs import PowerOfTwo
from sw_ref.quantize.bcq import power_terms
from sw_ref.quantize.uniform import Quantized

__all__ = ["Scales", "check_zeros", "magnitudes", "part_of", "scales_of"]


def part_of(
    target: Target,
    acts: ActPlan,
    passes: list[Pass],
    columns: np.ndarray,
    bias: np.ndarray,
    reference: np.ndarray | None,
    result: tuple[float, int] | None = None,
) -> Part:
    """Some columns of weights, with what the drain edge takes of them.

    Parameters
    ----------
    target : Target
    acts : ActPlan
    passes : list of Pass
    columns : int64 array (N,)
        Which they are.
    bias : float64 array (N,)
    reference : float64 array (M, N) or None
        About what will come out, to calibrate the scale of requantized results.
    result : tuple of float and int, optional
        That scale and the zero point, where they are known.

    Raises
    ------
    ValueError
        If the drain edge lacks a step that these weights need, or its formats cannot hold what they give.
    """
    drain, pairs = target.drain, [(one, segment) for one in passes for segment in acts.segments]
    given = {"weight_zero": np.stack([s.weight.zero_with(one.zero[s.group]) for one, s in pairs])}
    check_zeros(drain, "weight_zero", given["weight_zero"])
    if "column_sum" in drain.names("column"):
        given["column_sum"] = np.stack([_column_sum(target.weight, *pair) for pair in pairs])
    scales = scales_of(target, pairs, len(passes))
    given |= scales.codes
    size = np.stack([_largest(target, one, segment) for one, segment in pairs]) * np.abs(scales.group)
    size, channel = size + np.abs(scales.offset), scales.channel * passes[0].overall
    if acts.static is not None:
        steps, channel = _integer_steps(drain, bias, reference, channel, acts.static, result)
        given |= steps
    pieces = [np.concatenate([one.piece(segment) for segment in acts.segments]) for one in passes]
    return Part(
        columns=columns,
        codes=np.stack(pieces),
        parameters={name: given[name] for name in (*drain.names("column"), *drain.names("output")) if name in given},
        channel=channel,
        size=size,
        exponent=scales.exponent,
        bias=bias,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Scales:
    """Scales and offsets of weights as a drain edge has them: a value is ``2**exponent * channel * (group, offset)``.

    ``codes`` are what the drain edge is given. ``group`` and ``offset`` (P, N) are the numbers of each of P sums before
    they are rounded to its formats, over ``2**exponent`` where they are floats.
    """

    codes: dict[str, np.ndarray]
    group: np.ndarray
    channel: np.ndarray
    offset: np.ndarray
    exponent: int = 0


def scales_of(target: Target, pairs: Sequence[tuple[Pass, Segment]], passes: int) -> Scales:
    """Scales and offsets of all sums: of each pass the segments in order.

    Raises
    ------
    ValueError
        If the drain edge lacks a step that they need, or its formats cannot hold them.
    """
    drain = target.drain
    scale, channel = _weight_scales(target, pairs, passes)
    offset = _offsets(target, pairs)
    step, added = drain.find(Scale), drain.find(Offset)
    form = step and step.scale
    if isinstance(form, Float):
        assert scale is not None, "a step that scales has scales"
        codes, exponent = _float_scales(drain, form, scale, offset)
        return Scales(codes=codes, group=scale, channel=channel, offset=offset, exponent=exponent)
    if offset.any():
        raise ValueError("Drain scale must be a float where the quantizer gives weights an offset")
    codes = {"offset": round_to(added.form, offset)} if added else {}
    if scale is None:
        return Scales(codes=codes, group=np.ones(offset.shape), channel=channel, offset=offset)
    group = form.to_fixed(scale).sum(axis=0) if isinstance(form, PowerOfTwo) else scale
    return Scales(codes={"scale": scale, **codes}, group=group, channel=channel, offset=offset)


def magnitudes(target: Target, form: Format, codes: np.ndarray) -> np.ndarray:
    """What sums are made of, in float64: integers, or the numbers themselves where sums are floats."""
    codes = zeroed(form, codes)
    return form.decode(codes) if target.drain.sums else form.to_fixed(codes).astype(np.float64)


def check_zeros(drain: Drain, side: str, zeros: np.ndarray) -> None:
    """Raise ValueError if a drain edge does not take these zero points."""
    step = drain.find(ZeroPoints)
    form = step and getattr(step, side)
    if form is None and zeros.any():
        raise ValueError(f"Drain {side} must not be none: the quantizer gives zero points, such as {zeros.max()}")
    if form is not None and (zeros.min() < form.interval.lo or zeros.max() > form.interval.hi):
        raise ValueError(
            f"Drain {side} must hold zero points from {zeros.min()} to {zeros.max()}, which {form.name} does not"
        )


def _column_sum(form: Format, one: Pass, segment: Segment) -> np.ndarray:
    """``sum over k of (value - zero)`` of each column."""
    values = form.to_fixed(one.piece(segment))
    return values.sum(axis=0) - segment.size * segment.weight.zero_with(one.zero[segment.group])


def _largest(target: Target, one: Pass, segment: Segment) -> np.ndarray:
    """The largest ``|value - zero|`` of each column."""
    values = magnitudes(target, target.weight, one.piece(segment))
    return np.abs(values - segment.weight.zero_with(one.zero[segment.group])).max(axis=0)


def _weight_scales(
    target: Target, pairs: Sequence[tuple[Pass, Segment]], passes: int
) -> tuple[np.ndarray | None, np.ndarray]:
    """Scales of groups, as numbers if they are floats and else as codes, and those of columns (N,), in float64."""
    drain = target.drain
    step = drain.find(Scale)
    form = step and step.scale
    integer = np.stack([one.integer[s.group] * s.digit.weight * s.weight.weight for one, s in pairs])
    # floats are what they are
    unit = 0 if drain.sums else target.engine.rule.lsb + target.act.fixed_form.lsb + target.weight.fixed_form.lsb
    real = np.stack([one.real[s.group] for one, s in pairs]) * np.ldexp(1.0, unit)
    if isinstance(form, Float):
        return integer * real, np.ones(real.shape[1])
    if step and isinstance(form, PowerOfTwo):
        return _powers(step, form, integer, real, passes)
    if not form and (integer != 1).any():
        raise ValueError("Drain scale must not be none where weights or activations come in digits or groups")
    if (real != real[0]).any():
        raise ValueError("Weight scales must be the same for all groups where the drain edge has none for each")
    return integer if form else None, real[0].astype(np.float64)


def _offsets(target: Target, pairs: Sequence[tuple[Pass, Segment]]) -> np.ndarray:
    """What is added to ``value * scale`` of each weight, in units of the sums' activations (sums, N)."""
    offset = np.stack([one.offset[s.group] * s.digit.weight for one, s in pairs])
    if not offset.any():
        return offset
    if not target.drain.find(Offset):
        raise ValueError("Drain offset must not be none: the quantizer gives weights an offset")
    return offset * np.ldexp(1.0, target.act.fixed_form.lsb)


def _float_scales(
    drain: Drain, form: Float, scale: np.ndarray, offset: np.ndarray
) -> tuple[dict[str, np.ndarray], int]:
    """Codes of scales that are floats, and of offsets; the power of two that was taken out of both."""
    step, scaling = drain.find(Offset), Scaling(arithmetic=drain.arithmetic)
    beside = (step.form, offset) if step else None
    codes = {"scale": scaling.factor("scale", form, scale, np.zeros(1), beside=beside)}
    if step:
        codes["offset"] = round_to(step.form, np.ldexp(offset, -scaling.exponent))
    return codes, scaling.exponent


def _integer_steps(
    drain: Drain,
    bias: np.ndarray,
    reference: np.ndarray | None,
    channel: np.ndarray,
    static: Quantized,
    result: tuple[float, int] | None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Bias, multiplier and shift of a drain edge whose results are integers, and what is left of the scales (N,)."""
    scales = static.scale.astype(np.float64)
    if (scales != scales[0, 0]).any():
        raise ValueError("Activation scales must be the same for all rows and groups under a bias or requantization")
    unit, steps, step = channel * scales[0, 0], {}, 1.0
    to = drain.find(Requantize)
    if to:
        if result is None:
            assert reference is not None, "results are requantized by a reference"
            step, zero = _result_scale(to, reference, unit.max())
        else:
            step, zero = _known_result(to, result)
        if to.out_zero:
            steps["out_zero"] = np.full(len(unit), zero)
    # where all sums are 0, the bias alone counts, and the unit may be anything
    unit = np.where(unit == 0, np.maximum(np.abs(bias), step) / 2**16, unit)
    if drain.find(Bias):
        steps["bias"] = _integer_bias(bias, unit)
    if not to:
        return steps, unit
    # what is less rounds every sum to 0, too
    ratio = unit / step
    if result is not None:
        # in float32 throughout, as ONNX runtimes have it
        ratio = channel.astype(np.float32) * static.scale[0, 0] / np.float32(step)
    ratio = np.maximum(ratio, np.float32(2.0 ** (to.multiplier_bits - MOST_SHIFT)))
    steps["multiplier"], steps["shift"] = dyadic(ratio.astype(np.float32), bits=to.multiplier_bits)
    if to.addend:
        addend = np.zeros(len(bias)) if drain.find(Bias) else bias / step
        steps |= _with_addend(steps["multiplier"], steps["shift"], addend)
    return steps, np.full(len(unit), step)


def _with_addend(multiplier: np.ndarray, shift: np.ndarray, addend: np.ndarray) -> dict[str, np.ndarray]:
    """Multipliers and shifts of columns, as much smaller as it takes for ``addend * 2**shift`` to fit 32 bits."""
    room = np.floor(np.log2(INTEGERS.hi / np.maximum(np.abs(addend), 1))).astype(np.int64)
    excess = np.clip(shift - room, 0, None)
    shift = shift - excess
    multiplier = np.rint(np.ldexp(multiplier.astype(np.float64), -excess)).astype(np.int64)
    return {
        "multiplier": multiplier,
        "shift": shift,
        "addend": np.rint(np.ldexp(addend, shift)).astype(np.int64),
    }


def _result_scale(to: Requantize, reference: np.ndarray, unit: float) -> tuple[float, int]:
    """The step of requantized results, and their zero point: what ``reference`` spans becomes what the format holds."""
    bounds = to.form.interval
    # no smaller than a multiplier can bring sums to, and with gemmlowp no shift to the left
    least = unit if to.rounding == "gemmlowp" else unit / 2.0 ** (to.multiplier_bits - 1)
    if not to.out_zero:
        # int1 holds nothing above 0
        return _short(max(np.abs(reference).max() / (bounds.hi or -bounds.lo), least) or 1.0), 0
    low, high = min(0.0, float(reference.min())), max(0.0, float(reference.max()))
    step = _short(max((high - low) / (bounds.hi - bounds.lo), least) or 1.0)
    return step, int(np.clip(np.rint(bounds.lo - low / step), bounds.lo, bounds.hi))


def _known_result(to: Requantize, result: tuple[float, int]) -> tuple[float, int]:
    """A scale and a zero point that are known, if a requantization takes them."""
    scale, zero = result
    if zero and not to.out_zero:
        raise ValueError(f"Drain out_zero must be true for results with a zero point, such as {zero}")
    if not to.form.interval.lo <= zero <= to.form.interval.hi:
        raise ValueError(f"Drain requantize must hold the zero point {zero} of results, which {to.form.name} does not")
    return scale, zero


def _integer_bias(bias: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The bias in units of each column's sums, integers of 32 bits."""
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


def _powers(
    step: Scale, form: PowerOfTwo, integer: np.ndarray, real: np.ndarray, passes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scales as sums of powers of two, ``channel * sum over terms of +-2**e``: codes (terms, sums, N), channel (N,).

    Exponents count from the largest of a column, and what lies below the smallest is dropped.
    """
    constant = (real == real[0]).all()
    signs, exponents = power_terms(integer if constant else integer * real, step.scale_terms)
    top = len(form.terms[0]) - 2
    highest = np.where(signs != 0, exponents.astype(np.int64), -128).max(axis=(0, 1))
    base = np.zeros_like(highest) if constant else highest - top
    places = exponents - base
    if constant and (places > top).any():
        raise ValueError(f"Drain scale must hold powers of two up to 2**{places.max()}, which {form.name} does not")
    values = np.where((signs != 0) & (places >= 0), signs * np.ldexp(1.0, places), 0.0)
    _check_kept(form, integer * real, np.logical_or.reduce(values, axis=0), passes)
    channel = np.where((signs != 0).any(axis=(0, 1)), np.ldexp(1.0, base), 0.0) * (real[0] if constant else 1.0)
    return form.encode(values), channel.astype(np.float64)


def _check_kept(form: PowerOfTwo, scales: np.ndarray, kept: np.ndarray, passes: int) -> None:
    """Every group must keep one of its passes' scales, other than 0, of (sums, N)."""
    some, left = (np.logical_or.reduce(x.reshape(passes, -1, x.shape[1]), axis=0) for x in (scales != 0, kept))
    if (some & ~left).any():
        sizes = np.abs(scales).reshape(passes, -1, scales.shape[1]).max(axis=0)
        at = int(np.argwhere(some & ~left)[0, 1])
        least, most = sizes[some[:, at], at].min(), sizes[:, at].max()
        raise ValueError(
            f"Drain scale must hold scales of column {at} from {least:.3g} to {most:.3g}, which lie too far apart for "
            f"powers of two of {form.name}"
        )
