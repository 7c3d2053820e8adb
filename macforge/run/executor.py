"""Runs a program on activations: in the hardware, simulated, or in its model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from macforge.compile.program import Program
from macforge.design.target import Target
from macforge.errors import MismatchError
from macforge.run.job import job_of
from sw_ref.engine.product import Product, expected_results
from sw_ref.quantize.uniform import Quantized
from sw_ref.wide import integer_array

__all__ = ["Engine", "MatmulResult", "run_program"]

Engine = Literal["rtl", "ref"]


@dataclass(frozen=True, kw_only=True)
class MatmulResult:
    """A product.

    Parameters
    ----------
    product : ndarray
        C (M, N): float32, unless both operands were integers and there is no drain edge: then int64, or objects (of
        Python's integers) if a number takes more than 63 bits.
    cycles : int or None
        Cycles that the hardware took, memory included; None from the model.
    predicted_cycles : int
        Cycles that the engine takes whose operands are always there.
    """

    product: np.ndarray
    cycles: int | None
    predicted_cycles: int


def run_program(program: Program, act: ArrayLike | Quantized, *, engine: Engine = "rtl") -> MatmulResult:
    """``C = act @ weight + bias`` of a program's weights, as its design computes it; the same bytes from both engines.

    Parameters
    ----------
    program : Program
    act : array (M, K), or Quantized
        Of any numeric dtype; integers are the values themselves. What is quantized already stays what it is.
    engine : {"rtl", "ref"}
        The accelerator in Verilator, or the model in NumPy. Where the array has columns that do not fit the bus, it is
        the engine alone that is simulated.

    Raises
    ------
    ValueError
        If the shapes do not fit, a value is not to be had in its format, or a result leaves float32; names the first
        one, before anything is simulated.
    MismatchError
        If the hardware's results are not the model's.
    """
    if engine not in ("rtl", "ref"):
        raise ValueError(f"Engine must be rtl or ref, not {engine!r}")
    job = job_of(program, act)
    spec = program.target.engine
    predicted = sum(product.schedule(spec).cycles for product in job.products)
    # what cannot be a result is refused before anything is simulated
    product, cycles = job.real([expected_results(spec, one) for one in job.products]), None
    if engine == "rtl":
        results, cycles = _simulated(program.target, job.products)
        product = job.real(results)
    product = integer_array(product) if product.dtype == object else product
    return MatmulResult(product=product, cycles=cycles, predicted_cycles=predicted)


def _simulated(target: Target, products: Sequence[Product]) -> tuple[Sequence[np.ndarray], int]:
    """What the hardware put out, in Verilator, and the cycles that it took."""
    # which loads Amaranth
    from macforge.design.design import design_of

    design = design_of(target.name, target.table)
    if target.layout is not None:
        from macforge.run.accelerated import run_accelerator

        run = run_accelerator(design.accelerator, products)
        return run.results, run.counters["cycles"]
    # which loads cocotb
    from tb.engine import simulate_engine

    outcome, done = simulate_engine(design.engine, products)
    if outcome.failure is not None:
        raise MismatchError(outcome.failure)
    return [one.results for one in done], sum(one.cycles for one in done)
