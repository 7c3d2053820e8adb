"""Accelerators in the simulator, driven by a script."""

from dataclasses import dataclass

import numpy as np

from dataflow.accelerator.accelerator import Accelerator
from hw.emit.verilog import emit_verilog
from macforge.design.design import load_design
from macforge.run.random_products import random_products
from sw_ref.accelerator.bus import Bus
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.engine.product import expected_results
from tb.runner import Bench, run_bench

START = (["write", "queue_size", 4], ["write", "control", 1])


def accelerator(name="mixpe_w4a8", *, cells=2, bus=None, settings=()):
    """That of a named design with fewer cells."""
    return Accelerator(engine=load_design(name, settings).resized(cells).engine, bus=bus or Bus())


def products(name, sizes, *, cells=2, seed=1, settings=()):
    """Random ones of such sizes (M, N, K)."""
    design, random = load_design(name, settings).resized(cells), np.random.default_rng(seed)
    return [one for m, n, k in sizes for one in random_products(design, random, m=m, n=n, k=k)]


@dataclass(frozen=True, kw_only=True)
class Driven:
    """What a script left: what it read of registers, and which products' results are right, and which untouched."""

    figures: dict
    right: list
    untouched: list


def drive(unit, image, script, *, stalls=0.0, broken=(), patience=200_000, planted=lambda verilog: verilog):
    """Run a script on an accelerator with a memory; ``planted`` makes Verilog with faults of its Verilog."""
    memory = image.array()
    settings = {
        "base": image.base,
        "broken": broken,
        "stalls": stalls,
        "patience": patience,
        "script": [list(one) for one in script],
    }
    cycles = sum(one.product.schedule(unit.layout.engine).cycles for one in image.placed)
    bench = Bench(
        verilog=planted(emit_verilog(unit)),
        top=unit.name,
        module="tests.dataflow.accelerator.bus_bench",
        settings=settings,
        arrays={"memory": memory},
        cycles=cycles,
    )
    outcome = run_bench(bench)
    assert outcome.failure is None, (outcome.failure, outcome.figures)
    after = outcome.arrays["memory"]
    others = np.ones(len(after), bool)
    for one in image.placed:
        rows = others[one.result - image.base :][: one.size].reshape(-1, image.layout.result_stride(one.product))
        rows[:, : image.layout.result_bytes(one.product)] = False
    assert np.array_equal(after[others], memory[others]), "something beside the results was written"
    right = [
        bool(np.array_equal(got, expected_results(unit.layout.engine, one.product)))
        for one, got in zip(image.placed, image.results(after), strict=True)
    ]
    untouched = [bool((after[one.result - image.base :][: one.size] == 0xA5).all()) for one in image.placed]
    return Driven(figures=outcome.figures, right=right, untouched=untouched)


def filled(unit, given, **how):
    """A memory with these products in its ring."""
    image = MemoryImage(unit.layout, **how)
    for one in given:
        image.add(one)
    return image
