"""Products of integers at the drain edge."""

from types import SimpleNamespace

from amaranth.hdl import Module

from dataflow.drain.pipeline import register
from hw.core.number import Number
from hw.core.stages import run_steps
from hw.integer.multiply import product_steps

__all__ = ["product"]


def product(m: Module, name: str, x: Number, y: Number) -> Number:
    """``x * y``, a cycle later."""
    narrow, wide = sorted((x, y), key=lambda number: len(number.value))
    at = SimpleNamespace(multiplicand=wide, multiplier=narrow)
    run_steps(m, at, product_steps(narrow.interval, dsp="none", name=name), registers=0)
    return register(m, name, at.product)
