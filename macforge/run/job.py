"""What an engine is given of a program and activations, and what its results are in numbers."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from macforge.compile.operands import Operand, read_operand, rounded_product
from macforge.compile.parameters import check_zeros, magnitudes
from macforge.compile.program import Part, Program
from macforge.compile.scaling import Scaling, product_exponent
from macforge.compile.weights import quantize_operand
from macforge.design.target import Target
from macforge.run.activations import Activations, as_given, ordered, prepared
from sw_ref.arith.float_codes import round_to, value_of
from sw_ref.arith.float_sum import FloatSum
from sw_ref.drain.dequantize import centred_sums, dequantize_gemm
from sw_ref.drain.edge import Drain
from sw_ref.drain.steps.act_scale import ActScale
from sw_ref.drain.steps.bias import Bias
from sw_ref.drain.steps.channel_scale import ChannelScale
from sw_ref.drain.steps.limits import Limits
from sw_ref.drain.steps.offset import Offset
from sw_ref.engine.product import Product
from sw_ref.formats.minifloat import Float
from sw_ref.formats.nonfinite import nonfinite_results, zeroed
from sw_ref.groups import group_slices
from sw_ref.quantize.stored import reread
from sw_ref.quantize.uniform import Quantized

__all__ = ["Job", "job_of"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """A matrix product as a design's engine computes it.

    Parameters
    ----------
    products : tuple of Product
        What the engine is given.
    real : callable
        C (M, N), out of the results of all products: int64 of integers, else float32. Raises ValueError if it cannot
        hold them: if a result of finite operands is infinite or NaN, or leaves the range of float32.
    """

    products: tuple[Product, ...]
    real: Callable[[Sequence[np.ndarray]], np.ndarray]


def job_of(program: Program, act: ArrayLike | Quantized) -> Job:
    """The product of activations (M, K), of any numeric dtype or quantized already, and a program's weights.

    Raises
    ------
    ValueError
        If the activations cannot be brought into the form that the design's engine takes.
    """
    if isinstance(act, Quantized):
        operand = _taken(program, act)
        shape = act.codes.shape
    else:
        operand = read_operand(act, what="act", k_axis=1)
        shape = operand.values.shape
    if shape[1] != program.k:
        raise ValueError(
            f"act (M, K) and weight (K, N) must share K, not have shapes {shape} and {program.k, program.n}"
        )
    return _drained(program, operand) if program.weight is None else _undrained(program, operand, program.weight)


def _taken(program: Program, act: Quantized) -> Quantized:
    """Quantized activations in the design's format; with the calibration's scale, if there is one."""
    act = reread(act, program.target.act_quantizer.format)
    static = program.acts.static if program.acts else None
    if static is not None and ((act.scale != static.scale).any() or (act.zero_point != static.zero_point).any()):
        raise ValueError("Activations must have the scale and the zero point that the program was compiled with")
    return act


def _undrained(program: Program, act: Operand | Quantized, weight_q: Quantized) -> Job:
    """Sums are dequantized afterwards."""
    target = program.target
    act = as_given(program, ordered(program, act))
    group, exponent = program.acts.group if program.acts else 0, program.exponent
    if isinstance(act, Quantized):
        act_q, integral = act, bool((act.scale == 1).all())
    else:
        act = _within_sums(target, act, weight_q)
        quantizer = target.act_quantizer
        if group and quantizer.granularity == "group":
            quantizer = replace(quantizer, group_size=group)
        act_q, integral = quantize_operand(act, quantizer, k_axis=1), act.integral
        exponent += act.exponent
    product = Product(act=act_q.codes, weight=weight_q.codes, group=group)
    # sums take codes that are not finite for 0, and so does what is made of them
    act_q, weight_q = (replace(one, codes=zeroed(one.format, one.codes)) for one in (act_q, weight_q))
    integers = integral and program.integral and not isinstance(target.sums, FloatSum)

    def real(results: Sequence[np.ndarray]) -> np.ndarray:
        if integers:
            # sums of integers, in units of last bits that may lie behind the point
            unit = target.engine.rule.lsb + act_q.format.fixed_form.lsb + weight_q.format.fixed_form.lsb
            sums = results[0]
            if act_q.zero_point.any() or weight_q.zero_point.any():
                sums = centred_sums(sums << target.engine.rule.lsb, act_q, weight_q)
                unit -= target.engine.rule.lsb
            total = sums.sum(axis=0)
            return total << unit if unit >= 0 else total >> -unit
        if isinstance(target.sums, FloatSum):
            reals = _scaled_floats(target.sums.shape, results[0], act_q, weight_q)
        else:
            reals = dequantize_gemm(results[0] << target.engine.rule.lsb, act_q, weight_q)
        if program.offset is not None:
            reals = reals + _added(act_q, program.offset, group)
        return rounded_product(reals, exponent, _invalid(target, product))

    return Job(products=(product,), real=real)


def _added(act: Quantized, offset: np.ndarray, group: int) -> np.ndarray:
    """What offsets (G, N) of weights add to a product: of each group, times the sum of its activations."""
    reals = act.reals()
    groups = group_slices(reals.shape[1], group if len(offset) > 1 else 0)
    sums = np.stack([reals[:, k].sum(axis=1) for k in groups])
    return reduce(operator.add, (total[:, None] * each for total, each in zip(sums, offset, strict=True)))


def _within_sums(target: Target, act: Operand, weight: Quantized) -> Operand:
    """Activations over a power of two, if sums that are floats would overflow, or be flushed, without one."""
    schemes = {target.act_quantizer.scheme, target.weight_quantizer.scheme}
    if not isinstance(target.sums, FloatSum) or schemes != {"cast"} or act.integral:
        # what has a scale is of about the largest of its format's values
        return act
    codes = zeroed(weight.format, weight.codes)
    sizes = np.abs(act.values.astype(np.float64)) @ np.abs(weight.format.decode(codes))
    exponent = product_exponent(target.sums.shape, sizes)
    values = np.ldexp(act.values, -exponent)
    return Operand(values=values, exponent=act.exponent + exponent) if exponent else act


def _scaled_floats(shape: Float, sums: np.ndarray, act: Quantized, weight: Quantized) -> np.ndarray:
    """The real product in float64, out of sums that are floats."""
    if act.zero_point.any() or weight.zero_point.any():
        raise ValueError("Quantizer scheme must be symmetric where sums are floats")
    real = value_of(shape, sums & ((1 << shape.bits) - 1))
    scales = [act.scale[:, g, None].astype(np.float64) for g in range(act.scale.shape[1])]
    others = [weight.scale[g].astype(np.float64) for g in range(weight.scale.shape[0])]
    return reduce(
        operator.add,
        (one * scales[min(g, len(scales) - 1)] * others[min(g, len(others) - 1)] for g, one in enumerate(real)),
    )


def _invalid(target: Target, product: Product) -> np.ndarray:
    """Which elements have an operand that is infinite or NaN, bool (M, N)."""
    act, planes = target.act.finite(product.act), target.weight.finite(product.planes)
    return nonfinite_results(act, planes.all(axis=0))


def _drained(program: Program, act: Operand | Quantized) -> Job:
    target, drain, act = program.target, program.target.drain, as_given(program, act)
    limits, taken_out = drain.find(Limits), 0 if isinstance(act, Quantized) else act.exponent
    if taken_out and limits and limits.clamp:
        raise ValueError(f"Drain clamp must be left out for activations as large or small as 2**{taken_out}")
    acts = prepared(program, act)
    check_zeros(drain, "act_zero", acts.zero)
    if drain.find(Offset) and acts.zero.any():
        raise ValueError("Activations must have no zero point where weights have an offset, which multiplies their sum")
    # a calibrated scale is that of the calibration's numbers
    exponent = program.exponent + (taken_out if program.plan.static is None else program.plan.exponent)
    products, places = [], []
    for part in program.parts:
        parameters, scale = _parameters(program, part, acts, taken_out)
        products.append(Product(act=acts.codes, weight=part.codes, group=program.plan.group, parameters=parameters))
        places.append((part.columns, scale))
    floats = drain.arithmetic if drain.floating else None
    shape = len(acts.codes), program.n

    def real(results: Sequence[np.ndarray]) -> np.ndarray:
        reals, invalid = np.empty(shape), np.empty(shape, bool)
        for result, product, (columns, scale) in zip(results, products, places, strict=True):
            values = result[0] if floats is None else value_of(floats, result[0] & ((1 << floats.bits) - 1))
            # the zero point of requantized results
            reals[:, columns] = (values - product.parameters.get("out_zero", 0)) * scale
            invalid[:, columns] = _invalid(target, product)
        return rounded_product(reals, exponent, invalid)

    return Job(products=tuple(products), real=real)


def _parameters(
    program: Program, part: Part, acts: Activations, exponent: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the drain edge takes of a product, and the scale that is left, which broadcasts to (M, N)."""
    drain = program.target.drain
    passes = len(part.codes)
    given = {**part.parameters, "act_zero": np.tile(acts.zero, (passes, 1))}
    if _when(drain) != "group" and (acts.scale != acts.scale[0]).any():
        raise ValueError("Activation scales must be the same for all groups where the drain edge has none for each")
    if not drain.floating:
        # with a bias or requantization, part of the scale that calibration left
        row = 1.0 if program.plan.static is not None else acts.scale[0][:, None]
        return _wanted(drain, given), part.channel * row
    channel = part.channel * acts.overall
    left = np.ones((1, 1)) if drain.find(ChannelScale) else channel[None]
    if _when(drain) == "none":
        left = left * acts.scale[0][:, None]
    steps, taken = _float_steps(program, part, acts, channel, _offset(drain, part, exponent, left))
    return _wanted(drain, given | steps), left * 2.0**taken


def _when(drain: Drain) -> str:
    """When the scales of rows multiply."""
    step = drain.find(ActScale)
    return step.act_scale if step else "none"


def _wanted(drain: Drain, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {parameter.name: given[parameter.name] for parameter in drain.parameters}


def _offset(drain: Drain, part: Part, exponent: int, left: np.ndarray) -> np.ndarray:
    """The bias in the unit of the results of a floating drain edge (N,)."""
    if not drain.find(Bias):
        return np.zeros(len(part.bias))
    if (left != left[0]).any():
        raise ValueError("Activation scales must be the same for all rows, under a bias, where there is no act_scale")
    # what is left of a column of zeros may be anything
    return np.ldexp(part.bias, -exponent) / np.where(left[0] == 0, 1, left[0])


def _float_steps(
    program: Program, part: Part, acts: Activations, channel: np.ndarray, bias: np.ndarray
) -> tuple[dict[str, np.ndarray], int]:
    """Scales of rows and columns, the bias, and the power of two that was taken out of all."""
    target, drain, passes = program.target, program.target.drain, len(part.codes)
    sizes = _row_sizes(program, acts)
    scale = np.tile(acts.scale, (passes, 1))
    of_row, when = drain.find(ActScale), _when(drain)
    row_form = of_row.form(drain) if of_row else drain.arithmetic
    rows = np.tile(sizes * acts.scale if when == "group" else sizes, (passes, 1))
    bound, factors = rows.T @ part.size, []
    if when == "group":
        factors.append(("act_scale", row_form, scale, bound))
    if drain.find(ChannelScale):
        bound = bound * np.abs(channel)
        factors.append(("channel_scale", drain.arithmetic, channel, bound))
    if when == "row":
        bound = bound * acts.scale[0][:, None]
        factors.append(("act_scale", row_form, scale, bound))
    scaling, steps = Scaling(arithmetic=drain.arithmetic, exponent=part.exponent), {}
    for name, shape, values, after in factors:
        after = after + np.abs(bias) if name == factors[-1][0] else after
        steps[name] = scaling.factor(name, shape, values, after)
    if drain.find(Bias):
        steps["bias"] = _float_bias(drain, np.ldexp(bias, -scaling.exponent))
    limits = drain.find(Limits)
    if scaling.exponent and limits and limits.clamp:
        raise ValueError(
            f"Drain clamp must be left out for results that {drain.arithmetic.exponent} exponent bits of "
            f"{target.name} hold only over 2**{scaling.exponent}"
        )
    return steps, scaling.exponent


def _row_sizes(program: Program, acts: Activations) -> np.ndarray:
    """Of each segment, sums of ``|value - zero|`` of rows (segments, M)."""
    values, first, sizes = magnitudes(program.target, program.target.act, acts.codes), 0, []
    for segment, zero in zip(program.plan.segments, acts.zero, strict=True):
        piece = values[:, first : first + segment.size]
        sizes.append(np.abs(piece - zero[:, None]).sum(axis=1))
        first += segment.size
    return np.stack(sizes)


def _float_bias(drain: Drain, bias: np.ndarray) -> np.ndarray:
    codes = round_to(drain.arithmetic, bias)
    if not np.isfinite(value_of(drain.arithmetic, codes)).all():
        raise ValueError(
            f"Drain bias must be a float of {drain.arithmetic.exponent} exponent bits, which {np.abs(bias).max():.3g} "
            "is not; fp32 and bf16 have 8"
        )
    return codes
