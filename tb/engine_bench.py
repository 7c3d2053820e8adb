"""Bench of engines: products of any size through their streams, against the model, bit for bit.

Engines run side by side, each behind its prefix. The request holds, for each engine and product ``i``, the payloads of
all input streams (``<prefix>act_i``, ``<prefix>weight_i``, ...) as bytes, and the ``<prefix>expected_i`` beats of
results with the slots of them that count, ``<prefix>counted_i``, and if results can be invalid which are,
``<prefix>invalid_i``; its settings are, for each engine, the names of these streams, the width of a result, and of each
product its stalls, and the cycles that it must take without any. Outputs that report faults are counted; unless some
are planted, there must be none.
"""

import functools
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from tb.request import Request
from tb.streams import Sink, Source, level, payloads, reset, unpack

__all__ = ["products"]

# Without a stall nothing in an engine waits longer than for a panel or a tile.
_PATIENCE = 100_000


class _Part:
    """The ports of one engine, of several that have their prefixes in front; clock and reset are those of all."""

    def __init__(self, dut: Any, prefix: str) -> None:
        self._dut, self._prefix = dut, prefix

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dut, name if name in ("clk", "rst") else self._prefix + name)


@cocotb.test()
async def products(dut) -> None:
    """Every result equals the model's, and where nothing stalls the cycles are those of the schedule."""
    request = Request.load()
    engines: dict[str, dict] = request.settings["engines"]
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    dut.rst.value = 0
    for prefix, settings in engines.items():
        part = _Part(dut, prefix)
        for name in ("command", *settings["streams"]):
            getattr(part, f"{name}__valid").value = 0
        part.result__ready.value = 0
    await reset(dut)
    cycles, arrays = {}, {}
    running = {prefix: cocotb.start_soon(_products(_Part(dut, prefix), prefix, request, arrays)) for prefix in engines}
    seen = {prefix: dict.fromkeys(settings["faults"], 0) for prefix, settings in engines.items() if settings["faults"]}
    watching = [cocotb.start_soon(_watch(_Part(dut, prefix), counts)) for prefix, counts in seen.items()]
    for prefix, task in running.items():
        cycles[prefix] = await task
    if seen:
        await ClockCycles(dut.clk, max(settings["fault_latency"] for settings in engines.values()))
    for task in watching:
        task.cancel()
    request.report(figures={"cycles": cycles, "faults": seen}, arrays=arrays)
    for prefix, settings in engines.items():
        _judge(request, prefix, settings["products"], cycles[prefix], arrays)
        if not settings["planted"]:
            assert not any(seen.get(prefix, {}).values()), f"{settings['name']}: faults are reported: {seen[prefix]}"


async def _watch(dut: _Part, counts: dict[str, int]) -> None:
    """Count the cycles in which each of these outputs is high; none may ever be X."""
    while True:
        await FallingEdge(dut.clk)
        for name in counts:
            counts[name] += level(getattr(dut, name), name)


async def _products(dut: _Part, prefix: str, request: Request, arrays: dict) -> list[int]:
    """Run the products of one engine; the cycles of each, and into ``arrays`` what came out."""
    settings, four_state = request.settings["engines"][prefix], request.settings["four_state"]
    random, counted = np.random.default_rng(request.settings["seed"]), []
    for index, product in enumerate(settings["products"]):
        inputs = {name: payloads(request.arrays[f"{prefix}{name}_{index}"]) for name in settings["streams"]}
        how = {"four_state": four_state}
        if "abandon_after" in product:
            await _run(dut, product, inputs, random, **how, most=product["abandon_after"])
            # of all engines there are
            await reset(dut)
            continue
        cycles, sink = await _run(dut, product, inputs, random, **how)
        slots, bits, flags = (settings[name] for name in ("cols", "result_bits", "invalid_bits"))
        fields = (slots, bits), *([(flags, 1)] if flags else []), (1, 1)
        values, *flagged, last = unpack(sink.payloads, *fields)
        arrays[f"{prefix}result_{index}"], arrays[f"{prefix}last_{index}"] = values, last[:, 0] != 0
        if flags:
            arrays[f"{prefix}flagged_{index}"] = flagged[0] != 0
            arrays[f"{prefix}sticky_{index}"] = np.array(level(dut.nonfinite, "nonfinite"))
        if any(sink.unknown):
            # of a result, or its mark, or the beat's `last`
            arrays[f"{prefix}unknown_{index}"] = functools.reduce(
                np.logical_or, (field != 0 for field in unpack(sink.unknown, *fields))
            )
        counted.append(cycles)
    return counted


def _judge(request: Request, prefix: str, products: list[dict], cycles: list[int], arrays: dict) -> None:
    """Assert that what came out of an engine is what the model says."""
    kept = [(i, p) for i, p in enumerate(products) if "abandon_after" not in p]
    for (number, product), taken in zip(kept, cycles, strict=True):
        name, index = f"{product['of']}product {product['name']}", f"{number}"
        result, expected = arrays[f"{prefix}result_{index}"], request.arrays[f"{prefix}expected_{index}"]
        assert result.shape == expected.shape, f"{name}: {len(result)} rows of results, not {len(expected)}"
        counted = request.arrays[f"{prefix}counted_{index}"]
        if f"{prefix}unknown_{index}" in arrays:
            _judge_unknown(name, arrays[f"{prefix}unknown_{index}"], counted)
        wrong = np.argwhere((result != expected) & counted)
        if len(wrong):
            row, col = wrong[0]
            raise AssertionError(
                f"{name}: {len(wrong)} of {counted.sum()} results differ, the first in row {row}, column {col}: "
                f"{result[row, col]}, not {expected[row, col]}"
            )
        if f"{prefix}flagged_{index}" in arrays:
            invalid = request.arrays[f"{prefix}invalid_{index}"]
            wrong = np.argwhere((arrays[f"{prefix}flagged_{index}"] != invalid) & counted)
            assert not len(wrong), f"{name}: {len(wrong)} results are marked wrongly, the first at {wrong[0]}"
            some = (invalid & counted).any()
            assert arrays[f"{prefix}sticky_{index}"] == some, f"{name}: `nonfinite` must be {int(some)}"
        last = arrays[f"{prefix}last_{index}"]
        assert last[-1] and not last[:-1].any(), f"{name}: `last` marks another beat than the last"
        if not product["stalls"]:
            assert taken == product["cycles"], f"{name}: {taken} cycles, not {product['cycles']}"


def _judge_unknown(name: str, unknown: np.ndarray, counted: np.ndarray) -> None:
    """Assert that no result that counts is ``unknown``."""
    wrong = np.argwhere(unknown & counted)
    if len(wrong):
        row, col = wrong[0]
        raise AssertionError(
            f"{name}: {len(wrong)} of {counted.sum()} results hold X or Z, the first in row {row}, column {col}"
        )


async def _run(dut, product, inputs, random, *, four_state, most=None) -> tuple[int, Sink]:
    """One product: cycles from the command to the last result, and what took the results.

    With ``most``, give up after that many cycles.
    """
    command, stalls = product["command"], product["stalls"]
    assert command >> len(dut.command__payload) == 0, f"sizes of {product} do not fit the command"
    how = {"stalls": stalls, "random": random, "four_state": four_state}
    control, *operands = (Source(dut, name, beats, **how) for name, beats in {"command": [command], **inputs}.items())
    sources = [control, *operands]
    sink = Sink(dut, "result", stalls=stalls, random=random)
    started = None
    ended, cycle, idle = 0, 0, 0
    while len(sink.payloads) < product["rows"] and cycle != most:
        await FallingEdge(dut.clk)
        moved = [control.step()]
        # how many parameters come in while a command waits is no part of the cycles from there on
        if stalls or moved[0] or started is not None:
            moved += [operand.step() for operand in operands]
        moved.append(sink.step())
        if stalls:
            await ReadOnly()
            for port in (*sources, sink):
                port.check()
        idle = 0 if any(moved) else idle + 1
        assert idle < _PATIENCE, f"nothing has moved for {_PATIENCE} cycles"
        started = cycle if moved[0] else started
        ended = cycle
        cycle += 1
    # the last handshakes happen at the rising edge that is still to come
    await FallingEdge(dut.clk)
    for source in sources:
        source.withdraw()
    dut.result__ready.value = 0
    if most is None:
        assert all(source.done for source in sources), "operands are left over"
    return ended - (started or 0) + 1, sink
