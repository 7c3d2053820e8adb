"""Evaluates expressions of Numbers in Amaranth's simulator."""

import itertools
from collections.abc import Callable, Sequence

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.core.number import Number, shape_of, wire
from sw_ref.interval import Interval

Case = tuple[Callable[..., Number], tuple[Interval, ...]]


@pytest.fixture(scope="session")
def evaluate() -> Callable[[Sequence[Case]], list[tuple[Number, dict[tuple[int, ...], int]]]]:
    """``evaluate(cases)``: the Number that each function makes, and its value for all operands.

    A function takes the module and its operands; every choice of them out of its intervals is tried.
    """

    def run(cases):
        m = Module()
        inputs, outputs, choices = [], [], []
        for index, (function, intervals) in enumerate(cases):
            signals = [Signal(shape_of(interval), name=f"x_{index}_{i}") for i, interval in enumerate(intervals)]
            operands = [Number(*pair) for pair in zip(signals, intervals, strict=True)]
            inputs.append(signals)
            outputs.append(wire(m, f"y_{index}", function(m, *operands)))
            choices.append(list(itertools.product(*(range(i.lo, i.hi + 1) for i in intervals))))
        values = [{} for _ in cases]

        async def bench(ctx):
            for step in range(max(map(len, choices))):
                for signals, choice in zip(inputs, choices, strict=True):
                    for signal, operand in zip(signals, choice[step % len(choice)], strict=True):
                        ctx.set(signal, operand)
                await ctx.delay(1e-9)
                for found, output, choice in zip(values, outputs, choices, strict=True):
                    if step < len(choice):
                        found[choice[step]] = ctx.get(output.value)

        simulator = Simulator(m)
        simulator.add_testbench(bench)
        simulator.run()
        return list(zip(outputs, values, strict=True))

    return run
