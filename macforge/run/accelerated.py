"""Products through an accelerator in Verilator, by its driver: no Python runs while time passes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataflow.accelerator.accelerator import Accelerator
from macforge.driver.device import Device, GivenUpError
from macforge.errors import MismatchError
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.engine.product import Product, expected_results
from sw_ref.locate import first_where
from tb.bus_simulator import BusSimulator

__all__ = ["AcceleratorRun", "run_accelerator"]

# Of the memory, whose first bytes are the ring.
_BASE = 0x1000
# Cycles between two looks at the status.
_STEP = 1000
# What is beyond so many times the predicted cycles, and so many more, never ends.
_PATIENCE, _AT_LEAST = 100, 1_000_000


@dataclass(frozen=True, kw_only=True)
class AcceleratorRun:
    """What an accelerator made of products.

    Parameters
    ----------
    results : tuple of ndarray
        Of each product, what the hardware wrote (results, M, N).
    counters : dict of str to int
        By the names of the registers, see `sw_ref.accelerator.registers`.
    """

    results: tuple[np.ndarray, ...]
    counters: dict[str, int]


def run_accelerator(
    unit: Accelerator, products: Sequence[Product], *, latency: int = 40, stalls: float = 0.0, seed: int = 0
) -> AcceleratorRun:
    """Run products one after the other, and hold the results against `expected_results`.

    Parameters
    ----------
    unit : Accelerator
    products : sequence of Product
        All are in the ring before the doorbell is rung, once.
    latency : int
        Cycles from a burst's address to its first word.
    stalls : float
        Probability, in each cycle and on each channel, of the memory not being ready.
    seed : int
        Of the stalls, and of what registers hold in the beginning.

    Raises
    ------
    MismatchError
        If a result is not the model's, a product is given up or never done, or a rule of AXI is broken.
    """
    image = MemoryImage(unit.layout, base=_BASE, size=1 << (len(products) - 1).bit_length())
    for product in products:
        image.add(product)
    cycles = sum(product.schedule(unit.layout.engine).cycles for product in products)
    options = {"latency": latency, "stalls": stalls, "seed": seed}
    with BusSimulator(unit, image.array(), base=_BASE, cycles=cycles, **options) as simulator:
        device = Device(simulator, simulator.memory[: image.ring_bytes], _BASE)
        device.submit(*image.descriptors())
        try:
            device.wait(polls=(_AT_LEAST + _PATIENCE * cycles) // _STEP, between=lambda: simulator.run(_STEP))
        except (GivenUpError, TimeoutError) as error:
            raise MismatchError(str(error)) from error
        if simulator.broken:
            raise MismatchError(f"Accelerator must keep the rules of AXI: {simulator.broken}")
        results = tuple(image.results(simulator.memory))
        faults = device.faults() if unit.engine.verdict else {}
        run = AcceleratorRun(results=results, counters=device.counters() | faults)
    if any(faults.values()):
        raise MismatchError(f"Check sums of sound cells must agree with their sums, not count {faults}")
    for index, (product, result) in enumerate(zip(products, results, strict=True)):
        _judge(f"result of product {index}", result, expected_results(unit.layout.engine, product))
    return run


def _judge(what: str, result: np.ndarray, expected: np.ndarray) -> None:
    wrong = result != expected
    if wrong.any():
        first = first_where(wrong, result, what=what)
        raise MismatchError(f"{wrong.sum()} of {wrong.size} results differ: {first}, not {expected[wrong][0]}")
