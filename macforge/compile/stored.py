"""Weights that are quantized already, for a design: as they are, to the bit, or refused."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from macforge.compile.acts import act_plan, segments_for
from macforge.compile.layout import Digit, digit_codes, digits_of
from macforge.compile.operands import Operand, read_vector
from macforge.compile.parameters import Scales, check_zeros, part_of, scales_of
from macforge.compile.program import ActPlan, Program
from macforge.compile.weights import Pass
from macforge.design.target import Target
from sw_ref.arith.float_codes import is_result_format, round_to, value_of
from sw_ref.arith.float_sum import FloatSum
from sw_ref.drain.steps.channel_scale import ChannelScale
from sw_ref.drain.steps.offset import Offset
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.drain.steps.scale import Scale
from sw_ref.drain.steps.zero_points import ZeroPoints
from sw_ref.engine.schedule import schedule_of
from sw_ref.formats.base import Format, Int
from sw_ref.formats.minifloat import Float
from sw_ref.formats.signs import Bipolar
from sw_ref.groups import group_slices
from sw_ref.quantize.stored import Factors, Reading, Stored, readings, reread
from sw_ref.quantize.uniform import Quantized

__all__ = ["Lowering", "compile_stored", "lowering", "taken_act"]

# Widest weights that come in digits.
_MOST_BITS = 8
# Columns whose scales are looked at first.
_FEW = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class Lowering:
    """How a design takes a stored weight.

    Parameters
    ----------
    reading : Reading
        How codes are read.
    digits : tuple of Digit
        In which weights come, pass by pass.
    group : int
        Products along K that make one sum.
    factors : Factors
        Of these groups and this reading.
    """

    reading: Reading
    digits: tuple[Digit, ...]
    group: int
    factors: Factors


def lowering(
    target: Target, form: Format, factors: Factors, *, k: int, group_size: int = 0, ordered: bool = False
) -> Lowering:
    """How a design takes weights of K = ``k`` rows, as they are.

    Parameters
    ----------
    target : Target
    form : Format
        Of the codes.
    factors : Factors
        Of groups of ``group_size`` along K.
    ordered : bool
        Whether the activations' channels come in an order of the weight's.

    Raises
    ------
    ValueError
        If it does not take them: the message says why, and goes on from the design's name.
    """
    most = target.engine.max_k * target.engine.modes[0].lanes // target.engine.lanes
    if k > most:
        raise ValueError(f"takes K up to {most}, not {k}")
    if group_size and all((x == x[0]).all() for x in (factors.scale, factors.zero_point, factors.offset)):
        factors, group_size = factors.of_first_group(), 0
    if target.quantizer.act.method == "mixed" and (ordered or len(factors.scale) > 1):
        raise ValueError("puts channels of activations in an order of its own, and so takes one scale for all of K")
    reasons: list[str] = []
    for reading, digits in _ways(target, form):
        try:
            group = _group(target, k, group_size, len(digits))
            read = reading.factors(factors).in_groups(k, group_size, group)
            read = _without_zeros(target, read, reading)
            found = Lowering(reading=reading, digits=digits, group=group, factors=read)
            # most that fail do so with a few columns
            if read.scale.shape[1] > _FEW:
                _check(target, replace(found, factors=read.columns(slice(0, _FEW))), k)
            _check(target, found, k)
        except ValueError as error:
            reasons.append(str(error))
        else:
            return found
    if not reasons:
        raise ValueError(f"takes weights of {_taken(target)}, not {form.name}")
    raise ValueError(reasons[0])


def compile_stored(
    target: Target,
    weight: Stored,
    *,
    bias: ArrayLike | None = None,
    act: Operand | None = None,
    static: Quantized | None = None,
    result: tuple[float, int] | None = None,
) -> Program:
    """A stored weight for a design, see `macforge.compile.compiler.compile_layer`.

    Raises
    ------
    ValueError
        If the design does not take it as it is, or a calibration is missing.
    """
    k, n = weight.shape
    factors = weight.factors
    try:
        found = lowering(
            target,
            weight.format,
            factors,
            k=k,
            group_size=weight.group_size,
            ordered=weight.order is not None,
        )
        codes = found.reading.codes(weight.codes)
    except ValueError as error:
        raise ValueError(f"Design {target.name} {error}") from None
    given, static = static, None if static is None else taken_act(target, static)
    integral = isinstance(weight.format, Int | Bipolar) and _is_plain(factors)
    program = partial(Program, target=target, k=k, n=n, exponent=0, integral=integral)
    if not target.edge:
        if bias is not None:
            raise ValueError(f"Bias must be left out for {target.name}, which has no drain edge that adds one")
        acts = ActPlan(group=found.group, segments=(), wide=np.zeros(0, bool), order=weight.order, given=given)
        offset = found.factors.offset * found.factors.channel
        return program(weight=_undrained(target, found, codes), acts=acts, offset=offset if offset.any() else None)
    if bias is not None and not target.edge.adds_bias:
        raise ValueError(f"Bias must be left out for {target.name}, whose drain edge adds none")
    reals = np.zeros(n) if bias is None else read_vector(bias, what="bias", size=n)
    acts = replace(act_plan(target, act, k, group=found.group, static=static), given=given)
    reals = np.ldexp(reals, -acts.exponent)
    reference = None
    if result is None and target.edge.find(Requantize):
        if act is None:
            raise ValueError("Calibration must be given for results in integers: activations (M, K) such as come later")
        reference = act.values.astype(np.float64) @ weight.reals() + reals
    if weight.order is not None:
        acts = replace(acts, order=weight.order)
    elif acts.order is not None:
        codes = codes[acts.order]
    passes = _passes(target, found, codes)
    part = part_of(target, acts, passes, np.arange(n), reals, reference, result)
    return program(acts=acts, parts=(part,))


def taken_act(target: Target, static: Quantized) -> Quantized:
    """Activations of a file's format, scale and zero point in the format of a design.

    Raises
    ------
    ValueError
        If it does not take them: the message says why, and goes on from the design's name.
    """
    if target.quantizer.act.method != "uniform":
        raise ValueError(f"takes activations in two precisions or blocks, not all of {static.format.name}")
    taken = target.act_quantizer.format
    try:
        found = reread(static, taken)
    except ValueError:
        zero = f" with the zero point {static.zero_point[0, 0]}" if static.zero_point.any() else ""
        raise ValueError(f"takes activations of {taken.name}, not {static.format.name}{zero}") from None
    if target.edge and found.zero_point.any():
        step = target.drain.find(ZeroPoints)
        held = step and step.act_zero and step.act_zero.interval
        if not held or not held.lo <= found.zero_point[0, 0] <= held.hi or target.drain.find(Offset):
            raise ValueError(f"takes no zero points of activations such as {found.zero_point[0, 0]}")
    if not target.edge and found.zero_point.any() and isinstance(target.sums, FloatSum):
        raise ValueError("takes no zero points of activations, as its sums are floats")
    return found


def _is_plain(factors: Factors) -> bool:
    """Whether the weight is the values of codes, less zero points."""
    return bool((factors.scale == 1).all() and (factors.channel == 1).all() and not factors.offset.any())


def _taken(target: Target) -> str:
    choice = target.quantizer.weight.format
    return choice or target.weight.name


def _ways(target: Target, form: Format) -> Iterator[tuple[Reading, tuple[Digit, ...]]]:
    """How codes of a format can be read, and the digits in which they then come."""
    wider = [make(bits) for bits in range(form.bits, _MOST_BITS + 1) for make in _KINDS]
    for taken in dict.fromkeys((form, target.weight, *wider)):
        digits = _digits(target, taken)
        for reading in readings(form, taken) if digits else ():
            yield reading, digits


_KINDS = (Int, partial(Int, signed=False), Bipolar)


def _digits(target: Target, taken: Format) -> tuple[Digit, ...]:
    """The digits in which a format comes; none if it cannot."""
    if taken == target.weight:
        return digits_of(taken, taken, "weight")
    whole = isinstance(taken, Int | Bipolar) and isinstance(target.weight, Int | Bipolar)
    if not whole or isinstance(taken, Bipolar) != isinstance(target.weight, Bipolar):
        return ()
    if target.edge is None or taken.bits % target.weight.bits or taken.bits == target.weight.bits:
        return ()
    try:
        digits = digits_of(taken, target.weight, "weight")
    except ValueError:
        return ()
    return digits if len(digits) <= target.engine.max_passes else ()


def _group(target: Target, k: int, group_size: int, passes: int) -> int:
    """Products along K that make one sum: as many as share a scale, if the engine takes so many."""
    stored, own = min(group_size or k, k), min(target.group_size or k, k)
    blocks = target.quantizer.act.method == "block"
    wanted = [own] if blocks else [stored, own]
    reason = ""
    for group in wanted:
        if stored < k and stored % group:
            kind = "blocks" if blocks else "groups"
            reason = reason or f"takes {kind} of {group} along K, not groups of {stored}"
            continue
        if group > target.engine.max_group:
            continue
        try:
            schedule_of(target.engine, m=1, n=1, k=k, group=group, passes=passes)
        except ValueError as error:
            reason = reason or _short(target, str(error), stored)
        else:
            return group
    raise ValueError(reason or f"takes groups of at most {target.engine.max_group} along K, not {stored}")


def _short(target: Target, error: str, stored: int) -> str:
    if target.engine.drain and not target.engine.accumulates:
        return f"takes one scale for all of K, not groups of {stored}"
    return f"does not take it, as {error}"


def _without_zeros(target: Target, factors: Factors, reading: Reading) -> Factors:
    """Zero points that a drain edge does not take, as offsets, if it takes these."""
    if not factors.zero_point.any():
        return factors
    if isinstance(target.sums, FloatSum) or reading.taken.fixed_form.lsb:
        raise ValueError(f"takes no zero points of weights, which are {target.weight.name}")
    if target.edge is None:
        return factors
    step = target.drain.find(ZeroPoints)
    form = step and step.weight_zero
    if form is not None:
        held = form.interval
        if held.lo <= factors.zero_point.min() and factors.zero_point.max() <= held.hi:
            return factors
    if target.drain.find(Offset):
        offset = factors.offset - factors.scale * factors.zero_point
        return replace(factors, offset=offset, zero_point=np.zeros_like(factors.zero_point))
    if form is None:
        more = "" if not reading.shift else f", which {reading.given.name} has as {reading.taken.name}"
        raise ValueError(f"takes no zero points of weights{more}")
    least, most = factors.zero_point.min(), factors.zero_point.max()
    raise ValueError(f"takes zero points of {form.name}, not from {least} to {most}")


def _check(target: Target, found: Lowering, k: int) -> None:
    """Raise ValueError, with the reason, unless scales and offsets come through as they are."""
    factors = found.factors
    if target.edge is None:
        _check_held("scales", factors.scale * factors.channel, _float32(factors.scale * factors.channel), "fp32")
        return
    drain, step = target.drain, target.drain.find(Scale)
    if factors.offset.any() and not drain.find(Offset):
        raise ValueError("adds no offset to the weights of a group")
    if drain.find(Requantize) and (factors.scale * factors.channel < 0).any():
        raise ValueError("takes no negative scales, as its results are requantized")
    differ = (factors.scale != factors.scale[0]).any()
    if step is None and differ:
        raise ValueError("has no scale for each group")
    if step and isinstance(step.scale, Int) and differ:
        raise ValueError(f"takes scales of groups that are {step.scale.name}, not such as {factors.scale[0, 0]:.9g}")
    groups = group_slices(k, found.group)
    acts = segments_for(target, groups, np.zeros(len(groups), bool))
    passes = _passes(target, found, None)
    pairs = [(one, segment) for one in passes for segment in acts]
    check_zeros(drain, "weight_zero", np.stack([s.weight.zero_with(one.zero[s.group]) for one, s in pairs]))
    try:
        scales = scales_of(target, pairs, len(passes))
    except ValueError as error:
        raise ValueError(f"does not hold its scales: {error}") from None
    _check_scales(target, found, scales, pairs)
    channel = scales.channel * passes[0].overall
    if drain.find(ChannelScale):
        floats = drain.arithmetic
        _check_held("scales of columns", channel, value_of(floats, round_to(floats, channel)), floats.name)


def _check_scales(target: Target, found: Lowering, scales: Scales, pairs: list) -> None:
    """The scale and offset of every sum must be what the codes of the drain edge stand for."""
    drain = target.drain
    wanted = np.stack([one.integer[s.group] * one.real[s.group] * s.digit.weight * s.weight.weight for one, s in pairs])
    unit = 0 if drain.sums else target.engine.rule.lsb + target.act.fixed_form.lsb + target.weight.fixed_form.lsb
    wanted = np.ldexp(wanted, unit)
    step, offset = drain.find(Scale), drain.find(Offset)
    held, name = scales.group * scales.channel, ""
    if step and isinstance(form := step.scale, Float):
        read = partial(value_of, form) if is_result_format(form) else form.decode
        held, name = np.ldexp(read(scales.codes["scale"]), scales.exponent), form.name
    elif step and step.scale:
        name = step.scale.name
    _check_held("scales", wanted, held, name or "whole columns")
    if offset:
        held = np.ldexp(value_of(offset.form, scales.codes["offset"]), scales.exponent)
        _check_held("offsets", scales.offset, held, offset.form.name)


def _check_held(what: str, wanted: np.ndarray, held: np.ndarray, name: str) -> None:
    wrong = wanted != held
    if wrong.any():
        raise ValueError(f"takes {what} of {name}, not such as {wanted[wrong][0]:.9g}")


def _float32(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return x.astype(np.float32).astype(np.float64)


def _passes(target: Target, found: Lowering, codes: np.ndarray | None) -> list[Pass]:
    """The passes of a weight, the lowest digit first; without codes where none are needed."""
    factors, reading = found.factors, found.reading
    shape = factors.scale.shape
    if codes is None:
        pieces = [np.zeros((0, shape[1]), np.uint32)] * len(found.digits)
    else:
        pieces = digit_codes(codes, reading.taken, target.weight)
    # a tensor's scale is a factor of all; what differs by column multiplies the groups' scales
    same = bool((factors.channel == factors.channel[0]).all())
    overall = float(factors.channel[0]) if same else 1.0
    real, offset = (x if same else x * factors.channel for x in (factors.scale, factors.offset))
    return [
        Pass(
            codes=piece,
            integer=np.full(shape, digit.weight),
            real=real,
            zero=digit.zero_with(factors.zero_point),
            overall=overall,
            added=offset if digit.first else None,
        )
        for digit, piece in zip(found.digits, pieces, strict=True)
    ]


def _undrained(target: Target, found: Lowering, codes: np.ndarray) -> Quantized:
    factors = found.factors
    return Quantized(
        codes=codes,
        scale=(factors.scale * factors.channel).astype(np.float32),
        zero_point=np.ascontiguousarray(factors.zero_point),
        format=target.weight,
        k_axis=0,
        group_size=found.group if len(factors.scale) > 1 else 0,
    )
