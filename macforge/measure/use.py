"""How much of what its array and its bus allow an accelerator attains, for few and for many rows of activations."""

from collections.abc import Sequence

import numpy as np

from macforge.compile.compiler import compile_layer
from macforge.compile.cost import cost
from macforge.compile.program import Program
from macforge.design.design import Design
from macforge.run.accelerated import run_accelerator
from macforge.run.job import job_of

__all__ = ["ROWS", "limit_cycles", "use_by_rows"]

ROWS = (1, 2, 4, 8, 16, 64)
"""Rows of activations: a step of decoding, some of them at once, prompts."""


def use_by_rows(design: Design, *, n: int, k: int, rows: Sequence[int] = ROWS, seed: int = 0) -> dict[int, float]:
    """``limit_cycles / cycles`` of a product of random operands (M, K) and (K, N), for each M in ``rows``.

    The cycles are counted by the accelerator, simulated, from the doorbell to the last result in memory; the memory
    answers 40 cycles after an address, and never stalls. Every result is held against the model.

    Raises
    ------
    ValueError
        If results of the design do not fit its bus, or operands its sizes.
    macforge.errors.MismatchError
        If a result is not the model's.
    """
    unit = design.accelerator
    random = np.random.default_rng(seed)
    weight, act = random.normal(size=(k, n)), random.normal(size=(max(rows), k))
    program = compile_layer(design, weight, calibration=act)
    found = {}
    for m in rows:
        counters = run_accelerator(unit, job_of(program, act[:m]).products).counters
        found[m] = limit_cycles(program, m) / counters["cycles"]
    return found


def limit_cycles(program: Program, m: int) -> float:
    """Cycles that array or bus take at least: ``macs / peak`` of all cells, or a word a cycle each way."""
    costs = cost(program, m)
    return max(costs.utilization * costs.cycles, costs.bus_cycles)
