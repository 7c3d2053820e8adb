"""A user's own matrices through a design: the hardware, or its model."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from macforge.design import Design
from macforge.drain_parameters import Pass
from macforge.lowering import Lowered, lower, lower_sums
from macforge.operands import Operand, read_operand, read_vector
from macforge.scaling import product_exponent
from sw_ref.engine.product import expected_results
from sw_ref.float_sum import FloatSum
from sw_ref.wide import integer_array
from tb.engine import simulate_engine

__all__ = ["MatmulResult", "MismatchError", "lowered", "matmul"]

Engine = Literal["rtl", "ref"]


class MismatchError(Exception):
    """The hardware and the model differ."""


@dataclass(frozen=True, kw_only=True)
class MatmulResult:
    """A product.

    Parameters
    ----------
    product : ndarray
        C (M, N): float32, unless both operands were integers and there is no drain edge: then int64, or objects (of
        Python's integers) if a number takes more than 63 bits.
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
    job = lowered(design, act, weight)
    hardware = design.engine
    schedules = [product.schedule(hardware.spec) for product in job.products]
    cycles = None
    if engine == "ref":
        results = [expected_results(hardware.spec, product) for product in job.products]
    else:
        outcome, done = simulate_engine(hardware, job.products)
        if outcome.failure is not None:
            raise MismatchError(outcome.failure)
        results, cycles = [one.results for one in done], sum(one.cycles for one in done)
    product = job.real(results)
    return MatmulResult(
        product=integer_array(product) if product.dtype == object else product,
        cycles=cycles,
        predicted_cycles=sum(schedule.cycles for schedule in schedules),
    )


def lowered(
    design: Design,
    act: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    passes: list[Pass] | None = None,
) -> Lowered:
    """Two matrices as the design's engine takes them, see `matmul`.

    ``bias`` (N,) is only taken by a drain edge that adds one; ``passes`` may be what `macforge.lowering.lower_weight`
    gave of the weights.
    """
    act, weight = read_operand(act, what="act", k_axis=1), read_operand(weight, what="weight", k_axis=0)
    shapes = act.values.shape, weight.values.shape
    if shapes[0][1] != shapes[1][0]:
        raise ValueError(f"act (M, K) and weight (K, N) must share K, not have shapes {shapes[0]} and {shapes[1]}")
    act = _within_sums(design, act, weight)
    if not design.edge:
        return lower_sums(design, act, weight)
    bias = None if bias is None else read_vector(bias, what="bias", size=shapes[1][1])
    return lower(design, act, weight, bias, passes)


def _within_sums(design: Design, act: Operand, weight: Operand) -> Operand:
    """Activations over a power of two, if sums that are floats would overflow, or be flushed, without one."""
    schemes = {design.act_quantizer.scheme, design.weight_quantizer.scheme}
    if not isinstance(design.sums, FloatSum) or schemes != {"cast"} or act.integral:
        # what has a scale is of about the largest of its format's values
        return act
    sizes = np.abs(act.values.astype(np.float64)) @ np.abs(weight.values.astype(np.float64))
    exponent = product_exponent(design.sums.shape, sizes)
    values = np.ldexp(act.values, -exponent)
    return Operand(values=values, exponent=act.exponent + exponent) if exponent else act
