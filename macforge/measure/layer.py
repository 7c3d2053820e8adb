"""A layer computed by the RTL of a design: verified against the model, with its cycles and its accuracy."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from macforge.compile.compiler import compile_layer
from macforge.design.design import Design
from macforge.extras import require_extras
from macforge.measure.verdict import verdict
from macforge.run.job import job_of
from sw_ref.engine.product import expected_results
from sw_ref.quantize.uniform import sqnr_db

if TYPE_CHECKING:
    from macforge.measure.minilm import Layer

__all__ = ["layer_figures"]


def layer_figures(design: Design, *, layer: "Layer | None" = None, tokens: int = 0) -> dict[str, Any]:
    """The layer through the RTL in Verilator: is each result the model's, after how many cycles, and how accurate.

    Parameters
    ----------
    design : Design
    layer : Layer, optional
        Real activations (M, K) and weights (K, N); by default the layer of `macforge.measure.workload.load_layer`.
    tokens : int
        How many rows of the activations, the first; 0 for all.

    Returns
    -------
    dict
        ``verified``, and what differs in ``failure``; ``cycles`` as measured, None if some product did not come to its
        end, and ``predicted_cycles``; ``macs_per_cycle``; ``utilization``, of the array's peak; ``products_per_mac``,
        products of cells for one of the operands: more than 1 where operands come in planes or digits; ``sqnr_db``
        against the layer in float64.
    """
    layer = layer or _default_layer()
    engine = design.engine
    act = layer.act[: tokens or None]
    bias = layer.bias if design.drain.adds_bias else None
    job = job_of(compile_layer(design, layer.weight, bias, calibration=act), act)
    found = verdict(design, (act, layer.weight, bias), job.products)
    schedules = [product.schedule(engine.spec) for product in job.products]
    exact = act.astype(np.float64) @ layer.weight.astype(np.float64) + (0 if bias is None else bias)
    if design.drain.relu:
        exact = np.maximum(exact, 0)
    # where the hardware is verified, its results are the model's
    product = job.real([expected_results(engine.spec, one) for one in job.products])
    macs = act.shape[0] * act.shape[1] * layer.weight.shape[1]
    products = sum(schedule.macs for schedule in schedules)
    return {
        "tokens": len(act),
        "verified": found["failure"] is None,
        "failure": found["failure"],
        "cycles": found["cycles"],
        "predicted_cycles": sum(schedule.cycles for schedule in schedules),
        "macs_per_cycle": macs / found["cycles"] if found["cycles"] else None,
        "utilization": products / sum(schedule.cycles * schedule.peak_macs for schedule in schedules),
        "products_per_mac": products / macs,
        "sqnr_db": sqnr_db(exact, product),
    }


@functools.cache
def _default_layer() -> "Layer":
    require_extras("model")
    # which takes the extra's packages; a layer that is given does without
    from macforge.measure.workload import load_layer

    return load_layer()
