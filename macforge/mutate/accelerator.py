"""What moves data around the engine of a design's accelerator, and the bench of products behind its bus."""

from collections.abc import Callable, Sequence

import numpy as np

from dataflow.accelerator.accelerator import Accelerator
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from macforge.driver.device import Device, GivenUpError
from macforge.mutate.stimuli import small
from macforge.mutate.subject import Subject
from macforge.run.random_products import random_products
from sw_ref.accelerator.descriptor import INTERRUPT, WAIT
from sw_ref.accelerator.memory_image import MemoryImage, Placed
from sw_ref.accelerator.registers import Cause
from sw_ref.accelerator.traffic import traffic
from sw_ref.engine.product import Product, expected_results
from tb.bad_records import BAD_DESCRIPTORS, BAD_HEADS, Bad, add_between
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

# What is bad of this bench alone: nothing lies there.
_BEYOND: Bad = {
    "image nowhere": (Cause.READ_DESCRIPTOR, {"image": _NOWHERE}),
    "act nowhere": (Cause.READ_ACT, {"act": _NOWHERE}),
    "result nowhere": (Cause.WRITE_RESULT, {"result": _NOWHERE}),
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
        modules=frozenset(below(text, unit.name) - below(text, unit.engine.module_name)),
        bench=lambda mutants: _Bench(reduced, unit, mutants),
    )


class _Bench:
    """Runs scenarios one after the other, each after a reset of everything."""

    def __init__(self, design: Design, unit: Accelerator, mutants: Mutants) -> None:
        self._unit = unit
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

    def _together(self, number: int) -> None:
        """All products at once, at the end of the address space, with stalls: results, and nothing else is written."""
        image = self._image(self._products, base=_HIGH, flags=[INTERRUPT, 0, WAIT, 0])
        with self._open(number, image, 0.3) as simulator:
            device = self._device(simulator, image)
            device.write("interrupt_enable", 1)
            device.submit(*image.descriptors())
            self._finish(device, simulator)
            self._judge(simulator, image, [True] * len(image.placed))
            _check(simulator.interrupt and device.read("interrupt_status") == 1, "an interrupt must be pending")
            device.write("interrupt_status", 1)
            _check(not simulator.interrupt and not device.read("interrupt_status"), "an interrupt must be cleared")
            self._count(device, self._products)

    def _one_by_one(self, number: int) -> None:
        """Products in a ring that goes round, as soon as there is room, without stalls: cycles, too."""
        image = self._image(self._products, base=_LOW, size=2, flags=[0] * 4)
        records = [image.layout.descriptor(one.product, flags=0, **_places(one)) for one in image.placed]
        with self._open(number, image, 0.0) as simulator:
            device = self._device(simulator, image)
            for record in records:
                device.submit(record)
                self._finish(device, simulator)
            _check(device.done == len(records), "every product must be done")
            self._judge(simulator, image, [True] * len(image.placed))
            self._count(device, self._products)
            predicted = sum(one.schedule(self._unit.layout.engine).cycles for one in self._products)
            late = device.counters()["cycles"] - predicted
            _check(0 <= late <= _BEGIN_AND_END * len(records), f"{late} cycles more than predicted")
            _check(not simulator.interrupt, "no interrupt was asked for")

    def _faults(self, number: int) -> None:
        """Every bad descriptor and head between two products that are right."""
        image = MemoryImage(self._unit.layout, base=_LOW, size=64)
        faults = add_between(image, self._products, {**BAD_DESCRIPTORS, **_BEYOND}, BAD_HEADS)
        with self._open(number, image, 0.1) as simulator:
            device = self._device(simulator, image)
            device.write("interrupt_enable", 2)
            device.submit(*image.descriptors())
            for at, (name, cause) in enumerate(faults.items()):
                told = self._given_up(device, simulator)
                _check(told == (cause, 2 * at + 1), f"{name} must be given up for {cause.name}, not {told}")
                _check(simulator.interrupt, "an error must interrupt")
                device.write("interrupt_status", 2)
                device.resume()
            self._finish(device, simulator)
            self._judge(simulator, image, [index % 2 == 0 for index in range(len(image.placed))])
            _check(device.counters()["errors"] == len(faults), "every error must be counted")

    def _resets(self, number: int) -> None:
        """Resets by register at any time, and products that are right afterwards; more descriptors than room."""
        image = self._image(self._products, base=_LOW, flags=[0] * 4)
        with self._open(number, image, 0.2) as simulator:
            device = self._device(simulator, image)
            for cycles in (1, 40, 90, 200, 400):
                device.submit(*image.descriptors())
                simulator.run(cycles)
                device.reset(image.base)
                _check((device.done, device.read("status")) == (0, 0), "nothing must be left after a reset")
            device.write("queue_head", image.size + 1)
            told = self._given_up(device, simulator)
            _check(told == (Cause.OVERRUN, 0), f"too many descriptors must be given up, not {told}")
            device.reset(image.base)
            device.submit(*image.descriptors())
            self._finish(device, simulator)
            self._judge(simulator, image, [True] * len(image.placed))

    def _image(self, products: Sequence[Product], *, base: int, flags: Sequence[int], size: int = 16) -> MemoryImage:
        image = MemoryImage(self._unit.layout, base=base, size=size)
        for index, product in enumerate(products):
            image.add(product, flags=flags[index % len(flags)])
        return image

    def _device(self, simulator: BusSimulator, image: MemoryImage) -> Device:
        return Device(simulator, simulator.memory[: image.ring_bytes], image.base)

    def _finish(self, device: Device, simulator: BusSimulator) -> None:
        device.wait(polls=_POLLS, between=lambda: simulator.run(_STEP))

    def _given_up(self, device: Device, simulator: BusSimulator) -> tuple[Cause, int] | None:
        """Why a product is given up, and which."""
        try:
            self._finish(device, simulator)
        except GivenUpError as error:
            return error.cause, error.index
        return None

    def _judge(self, simulator: BusSimulator, image: MemoryImage, right: Sequence[bool]) -> None:
        """Hold the memory against what it was, and the results of those products that are ``right``."""
        _check(not simulator.broken, f"a rule of AXI is broken: {simulator.broken}")
        before, memory = image.array(), simulator.memory
        others = np.ones(len(memory), bool)
        others[: image.ring_bytes] = False
        engine = self._unit.layout.engine
        for one, is_right, found in zip(image.placed, right, image.results(memory), strict=True):
            if is_right:
                _check(np.array_equal(found, expected_results(engine, one.product)), "a result differs")
                rows = others[one.result - image.base :][: one.size].reshape(
                    -1, image.layout.result_stride(one.product)
                )
                rows[:, : image.layout.result_bytes(one.product)] = False
        _check(np.array_equal(memory[others], before[others]), "something beside the results was written")

    def _count(self, device: Device, products: Sequence[Product]) -> None:
        """Hold the counters against the traffic that the model predicts."""
        counters, layout = device.counters(), self._unit.layout
        words = traffic(layout, [one.schedule(layout.engine) for one in products])
        expected = {
            "products": len(products),
            "errors": 0,
            "words_written": words["result"],
            "words_read": sum(words.values()) - words["result"],
        }
        for name, value in expected.items():
            _check(counters[name] == value, f"{name} must be {value}, not {counters[name]}")


def _places(placed: Placed) -> dict[str, int]:
    return {name: getattr(placed, name) for name in ("image", "act", "row", "result")}
