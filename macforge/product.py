"""A user's own matrices through a design: the hardware, or its model."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dataflow.schedule import schedule_of
from macforge.design import Design
from sw_ref.dequantize import dequantize_gemm
from sw_ref.formats import Format
from sw_ref.quantize import Quantized, Quantizer
from tb.engine import Product, expected_sums, simulate_engine

__all__ = ["MatmulResult", "MismatchError", "matmul", "quantize_operands"]

Engine = Literal["rtl", "ref"]


class MismatchError(Exception):
    """The hardware and the model differ."""


@dataclass(frozen=True, kw_only=True)
class MatmulResult:
    """A product.

    Parameters
    ----------
    product : ndarray
        C (M, N): int64 if both operands were integers, else float32.
    cycles : int or None
        Cycles that the hardware took; None from the model.
    predicted_cycles : int
        Cycles that the hardware is predicted to take.
    """

    product: np.ndarray
    cycles: int | None
    predicted_cycles: int


def matmul(design: Design, act: np.ndarray, weight: np.ndarray, *, engine: Engine = "rtl") -> MatmulResult:
    """``C = act @ weight`` as the design computes it.

    Integers are the values themselves, which the design's formats must hold; floats are quantized by the design's
    quantizers, and then the result is dequantized: float32. The same bytes come from both engines.

    Parameters
    ----------
    design : Design
    act : ndarray, (M, K)
    weight : ndarray, (K, N)
    engine : {"rtl", "ref"}
        Verilator, or the model in NumPy.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a value is not to be had in its format; names the first one.
    MismatchError
        If the hardware's results are not the model's.
    """
    if engine not in ("rtl", "ref"):
        raise ValueError(f"Engine must be rtl or ref, not {engine!r}")
    act_q, weight_q = quantize_operands(design, act, weight)
    hardware = design.engine
    schedule = schedule_of(hardware, m=len(act), n=weight.shape[1], k=act.shape[1])
    cycles = None
    if engine == "ref":
        sums = expected_sums(hardware, act_q.codes, weight_q.codes)
    else:
        outcome, done = simulate_engine(hardware, [Product(act=act_q.codes, weight=weight_q.codes)])
        if outcome.failure is not None:
            raise MismatchError(outcome.failure)
        sums, cycles = done[0].sums, done[0].cycles
    exact = act.dtype.kind in "iu" and weight.dtype.kind in "iu"
    return MatmulResult(
        product=sums.sum(axis=0) if exact else dequantize_gemm(sums, act_q, weight_q),
        cycles=cycles,
        predicted_cycles=schedule.cycles,
    )


def quantize_operands(design: Design, act: np.ndarray, weight: np.ndarray) -> tuple[Quantized, Quantized]:
    """Codes, scales and zero points of both operands; integers keep their values."""
    for name, operand in (("act", act), ("weight", weight)):
        if operand.ndim != 2 or 0 in operand.shape:
            raise ValueError(f"{name} must be a matrix, not of shape {operand.shape}")
        if operand.dtype.kind not in "iuf":
            raise ValueError(f"{name} must hold integers or floats, not {operand.dtype}")
    if act.shape[1] != weight.shape[0]:
        raise ValueError(f"act (M, K) and weight (K, N) must share K, not have shapes {act.shape} and {weight.shape}")
    return (
        _quantize(act, design.pe.act, design.act_quantizer, k_axis=1, what="act"),
        _quantize(weight, design.pe.weight, design.weight_quantizer, k_axis=0, what="weight"),
    )


def _quantize(operand: np.ndarray, form: Format, quantizer: Quantizer, *, k_axis: int, what: str) -> Quantized:
    if operand.dtype.kind == "f":
        return quantizer.quantize(operand, k_axis=k_axis, what=what)
    return Quantized(
        codes=form.from_values(operand, what=what),
        scale=np.ones((1, 1), np.float32),
        zero_point=np.zeros((1, 1), np.int64),
        format=form,
        k_axis=k_axis,
    )
