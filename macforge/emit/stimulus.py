"""What a testbench feeds a design with: products of ragged sizes, as beats of all streams."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from macforge.design.design import Design
from macforge.run.random_products import random_products
from sw_ref.engine.beats import act_payloads, parameter_payloads, result_payloads, weight_payloads
from sw_ref.engine.product import Product, expected_invalid
from sw_ref.engine.schedule import Schedule
from sw_ref.engine.spec import EngineSpec

__all__ = ["Stimulus", "stimulus_of"]

_SEED = 1
# Rows at which a simulation in Icarus Verilog still takes seconds.
_MOST = 64


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """Products, and the beats of all of them on each stream.

    Parameters
    ----------
    schedules : tuple of Schedule
        One for each product.
    nonfinite : tuple of bool
        Whether a product has an operand that is infinite or NaN.
    inputs : dict of str to list of int
        Payloads of each input stream; the bit above a payload marks the last one of a product.
    results, counts : list of int
        Payloads of results as the model has them, and which of their bits count.
    """

    schedules: tuple[Schedule, ...]
    nonfinite: tuple[bool, ...]
    inputs: dict[str, list[int]]
    results: list[int]
    counts: list[int]


def stimulus_of(design: Design) -> Stimulus:
    """Products in every mode of a design; the same on every run.

    They are larger than a panel of rows, a block of columns and a group of K, each by a part of the next, and hold the
    extremes of both operands.
    """
    engine, random = design.engine.spec, np.random.default_rng(_SEED)
    products = _products(design, engine, random)
    inputs: dict[str, list[int]] = {name: [] for name in engine.stream_bits if name != "result"}
    results, counts = [], []
    for product in products:
        schedule = product.schedule(engine)
        inputs["command"].append(1 << engine.stream_bits["command"] | schedule.command)
        rows = {
            "act": act_payloads(engine, product, random),
            "weight": weight_payloads(engine, product, random),
            **parameter_payloads(engine, schedule, product.parameters),
        }
        for name, payloads in rows.items():
            beats = list(_integers(payloads))
            beats[-1] |= 1 << engine.stream_bits[name]
            inputs[name] += beats
        for kept, payloads in zip((results, counts), result_payloads(engine, product), strict=True):
            kept += _integers(payloads)
    return Stimulus(
        schedules=tuple(product.schedule(engine) for product in products),
        nonfinite=tuple(engine.invalid and bool(expected_invalid(engine, one).any()) for one in products),
        inputs=inputs,
        results=results,
        counts=counts,
    )


def _products(design: Design, engine: EngineSpec, random: np.random.Generator) -> tuple[Product, ...]:
    make = partial(
        random_products, design, random, m=min(engine.panel_rows, _MOST) + 3, n=engine.cols + 3, extremes=True
    )
    group = engine.group_size if engine.drain else 0
    most = min(engine.max_k * mode.lanes // engine.lanes for mode in engine.modes)
    ragged = min(group + 3 if group else max(2 * engine.span + 3, 35), most)
    try:
        first, *others = make(k=ragged)
    except ValueError:
        # some quantizers take whole groups only
        first, *others = make(k=min(2 * group, most) or ragged)
    if not engine.drain:
        # every sum is a result, and a command says how long they are
        first = replace(first, group=min(first.act.shape[1] // 2 + 1, engine.max_group))
    return first, *others


def _integers(payloads: np.ndarray) -> Iterator[int]:
    return (int.from_bytes(row.tobytes(), "little") for row in payloads)
