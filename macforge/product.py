"""A user's own matrices through a design: the hardware, or its model."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from macforge.compile.compiler import compile_layer
from macforge.design import Design
from macforge.run.job import job_of
from sw_ref.engine.product import expected_results
from sw_ref.wide import integer_array
from tb.engine import simulate_engine

__all__ = ["MatmulResult", "MismatchError", "matmul"]

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
    # where scales have to be known beforehand, these activations are what they are calibrated with
    job = job_of(compile_layer(design, weight, calibration=act), act)
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
