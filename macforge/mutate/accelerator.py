"""What moves data around the engine of a design's accelerator, and the bench of products behind its bus."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from dataflow.accelerator.accelerator import Accelerator
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from macforge.driver.device import Device, GivenUpError
from macforge.mutate.stimuli import small
from macforge.mutate.subject import Subject
from macforge.run.random_products import random_products
from sw_ref.accelerator.descriptor import HEAD, INTERRUPT, WAIT
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.accelerator.registers import Cause
from sw_ref.accelerator.traffic import traffic
from sw_ref.engine.product import Product, expected_results
from tb.bus_simulator import BusSimulator
from tb.mutation.netlist import SELECTOR, Mutants, below

__all__ = ["dma_subject"]

SIZES = ((5, 9, 40), (1, 1, 1), (3, 4, 17), (9, 5, 24))
# The ring at the lowest address, and the memory at the end of a bus of 32 bits.
_LOW, _HIGH = 0x1000, 0xFFF0_0000
_NOWHERE = 0x4000_0000
_STEP, _POLLS = 200, 400
# Cycles in which a descriptor and the first operands are under way, and the last results are.
_BEGIN_AND_END = 300
# About as many as a run takes, with some to spare: simulators of all faults are optimized.
_CYCLES = 200_000

# What a bad descriptor has, or the head of its image, and what it is given up for.
_BAD_DESCRIPTORS: dict[str, tuple[Cause, dict[str, int]]] = {
    "operation": (Cause.OPERATION, {"operation": 7}),
    "flags": (Cause.OPERATION, {"flags": 4}),
    "misaligned act": (Cause.ADDRESS, {"act": 0x1001}),
    "misaligned stride": (Cause.ADDRESS, {"result_stride": 3}),
    "beyond the bus": (Cause.ADDRESS, {"result": 1 << 32}),
    "image between records": (Cause.ADDRESS, {"image": 0x1008}),
    "no rows": (Cause.SIZE, {"m": 0}),
    "no panels": (Cause.SIZE, {"panels": 0}),
    "too many rows": (Cause.SIZE, {"m": 1 << 20}),
    "image nowhere": (Cause.READ_DESCRIPTOR, {"image": _NOWHERE}),
    "act nowhere": (Cause.READ_ACT, {"act": _NOWHERE}),
    "result nowhere": (Cause.WRITE_RESULT, {"result": _NOWHERE}),
}
_BAD_HEADS: dict[str, tuple[Cause, dict[str, int]]] = {
    "other engine": (Cause.IMAGE, {"digest": 1}),
    "no columns": (Cause.SIZE, {"n": 0}),
    "too deep": (Cause.SIZE, {"k": 1 << 15}),
    "no steps": (Cause.SIZE, {"steps": 0}),
    "no weights": (Cause.SIZE, {"weight_bytes": 0}),
}


class _Wrong(Exception):
    """The hardware is not as it should be."""


def _check(holds: object, what: str) -> None:
    if not holds:
        raise _Wrong(what)


def dma_subject(design: Design) -> Subject:
    """All of a small accelerator that is not its engine."""
    reduced = small(design)
    unit = reduced.accelerator
    text = emit_verilog(unit)
    return Subject(
        unit=unit,
        modules=frozenset(below(text, unit.module_name) - below(text, unit.engine.module_name) | {unit.module_name}),
        bench=lambda mutants: _Bench(reduced, unit, mutants),
    )


class _Bench:
    """Runs scenarios one after the other, each after a reset of everything."""

    def __init__(self, design: Design, unit: Accelerator, mutants: Mutants) -> None:
        self._design, self._unit, self._mutants = design, unit, mutants
        random = np.random.default_rng(1)
        self._products = [one for m, n, k in SIZES for one in random_products(design, random, m=m, n=n, k=k)]
        self._verilog = mutants.verilog

    def build(self) -> None:
        self._open(0, MemoryImage(self._unit.layout, base=_LOW), 0.0).close()

    def failure(self, number: int) -> str:
        scenarios: Sequence[Callable[[int], None]] = (self._together, self._one_by_one, self._faults, self._resets)
        for scenario in scenarios:
            try:
                scenario(number)
            except (_Wrong, RuntimeError, TimeoutError, ValueError) as error:
                return str(error)
        return ""

    def _open(self, number: int, image: MemoryImage, stalls: float) -> BusSimulator:
        return BusSimulator(
            self._unit,
            image.array(),
            base=image.base,
            stalls=stalls,
            seed=number,
            cycles=_CYCLES,
            verilog=self._verilog,
            plusarg=f"+{SELECTOR}={number}",
        )
