"""Activations as a program asks for them: codes of every segment, scales and zero points of every row."""

from dataclasses import dataclass, replace

import numpy as np

from macforge.compile.layout import Segment, digit_codes
from macforge.compile.operands import Operand
from macforge.compile.program import Program
from macforge.compile.weights import block_quantizer, coded, quantize_operand
from sw_ref.quantize.stored import quantize_with, reread
from sw_ref.quantize.uniform import Quantized

__all__ = ["Activations", "as_given", "ordered", "prepared"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Activations:
    """Activations, segment by segment: each is the sum of ``weight of its digit * scale * (value - zero)``.

    ``codes`` (M, K of all segments); ``scale`` float64, ``zero`` int64 (segments, M); ``overall`` is a factor of all.
    """

    codes: np.ndarray
    scale: np.ndarray
    zero: np.ndarray
    overall: float = 1.0


def ordered(program: Program, act: Operand | Quantized) -> Operand | Quantized:
    """Activations (M, K) in the order of the weight's rows."""
    order = program.acts.order if program.acts else None
    if order is None:
        return act
    if isinstance(act, Operand):
        return act.permuted(slice(None), order)
    if act.group_size:
        raise ValueError("Activations must have no groups where the weight has an order of channels")
    return replace(act, codes=act.codes[:, order])


def as_given(program: Program, act: Operand | Quantized) -> Operand | Quantized:
    """Real activations in the scale and zero point that a file has for them, if the program is of one."""
    given = program.acts.given if program.acts else None
    if given is None or isinstance(act, Quantized) or act.integral:
        return act
    return reread(quantize_with(np.ldexp(act.values, act.exponent), given), program.target.act_quantizer.format)


def prepared(program: Program, act: Operand | Quantized) -> Activations:
    """The activations (M, K) of a product."""
    plan = program.plan
    act = ordered(program, act)
    if program.target.quantizer.act.method == "block":
        return _blocks(program, act)
    groups = _groups(program, act)
    codes, scale, zero = [], [], []
    for segment in plan.segments:
        group = groups[segment.group]
        codes.append(_digit(group, segment, program))
        scale.append(np.broadcast_to(group.scale[:, 0], len(group.codes)))
        zero.append(segment.digit.zero_with(np.broadcast_to(group.zero_point[:, 0], len(group.codes))))
    return Activations(
        codes=np.concatenate(codes, axis=1), scale=np.stack(scale).astype(np.float64), zero=np.stack(zero)
    )


def _digit(group: Quantized, segment: Segment, program: Program) -> np.ndarray:
    return digit_codes(group.codes, group.format, program.target.act)[segment.index]


def _blocks(program: Program, act: Operand | Quantized) -> Activations:
    """Blocks, each with its own scale in every row."""
    if isinstance(act, Quantized):
        raise ValueError("Activations must be real numbers where they come in blocks, not quantized")
    blocks = coded(block_quantizer(program.target, "act"), act, k_axis=1, what="act")
    scale = blocks.scales().T
    return Activations(codes=blocks.codes, scale=scale, zero=np.zeros(scale.shape, np.int64), overall=blocks.overall)


def _groups(program: Program, act: Operand | Quantized) -> list[Quantized]:
    """Quantized activations, group by group along K."""
    target, plan = program.target, program.plan
    blocks = sorted({(segment.start, segment.stop) for segment in plan.segments})
    if isinstance(act, Quantized):
        return [_cut(act, slice(*block)) for block in blocks]
    if target.quantizer.act.granularity != "group":
        whole = _whole(program, act)
        return [_cut(whole, slice(*block)) for block in blocks]
    quantizers = [target.wide_quantizer("act") if is_wide else target.act_quantizer for is_wide in plan.wide]
    pieces = [act.permuted(slice(None), slice(*block)) for block in blocks]
    return [quantize_operand(piece, one, k_axis=1) for piece, one in zip(pieces, quantizers, strict=True)]


def _whole(program: Program, act: Operand) -> Quantized:
    quantizer, static = program.target.act_quantizer, program.plan.static
    if static is None or act.integral:
        if static is not None and (static.scale != 1).any():
            raise ValueError("act must hold floats, as those of the calibration, not integers")
        return quantize_operand(act, quantizer, k_axis=1)
    values = np.ldexp(act.values, act.exponent - program.plan.exponent)
    return quantizer.quantize_as(values, static, k_axis=1, what="act")


def _cut(act: Quantized, block: slice) -> Quantized:
    """Some of K of activations, with one scale a row."""
    at = slice(block.start // act.group_size, block.start // act.group_size + 1) if act.group_size else slice(0, 1)
    return Quantized(
        codes=act.codes[:, block],
        scale=act.scale[:, at],
        zero_point=act.zero_point[:, at],
        format=act.format,
        k_axis=1,
    )
