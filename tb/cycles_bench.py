"""Bench of anything without handshakes: a word on every input each cycle, and every output against the model.

The request holds, for each input port, the codes ``in_<port>`` (cycles, slots); for each output port, what
must come out, ``expected_<port>`` (cycles, slots), and which of that counts, ``counted_<port>``; and
``reset`` (cycles,). Its settings are the bits of a slot of each port. Outputs are looked at before the inputs
of their cycle are driven.
"""

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from tb.request import Request
from tb.streams import pack, unpack

__all__ = ["cycles"]


@cocotb.test()
async def cycles(dut) -> None:
    """Every output that counts is the model's, bit for bit and in its cycle."""
    request = Request.load()
    arrays, bits = request.arrays, request.settings["bits"]
    inputs = {port: pack(arrays[f"in_{port}"], bits[port]) for port in bits if f"in_{port}" in arrays}
    # where no register has a reset, there is none
    if hasattr(dut, "rst"):
        inputs["rst"] = [int(reset) for reset in arrays["reset"]]
    outputs = {port: [] for port in bits if f"expected_{port}" in arrays}
    drives = [(getattr(dut, port), words) for port, words in inputs.items()]
    looks = [(getattr(dut, port), words) for port, words in outputs.items()]
    for handle, words in drives:
        handle.value = words[0]
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    for cycle in range(len(arrays["reset"])):
        await FallingEdge(dut.clk)
        for handle, words in looks:
            words.append(int(handle.value))
        for handle, words in drives:
            handle.value = words[cycle]
    came = {port: unpack(words, arrays[f"expected_{port}"].shape[1], bits[port]) for port, words in outputs.items()}
    request.report(figures={}, arrays=came)
    wrong = [text for port, values in came.items() if (text := _difference(port, values, arrays))]
    if wrong:
        raise AssertionError("; ".join(wrong))


def _difference(port: str, came: np.ndarray, arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong with one output, in words."""
    expected, counted = arrays[f"expected_{port}"], arrays[f"counted_{port}"]
    wrong = np.argwhere((came != expected) & counted)
    if not len(wrong):
        return None
    cycle, slot = wrong[0]
    return (
        f"{port}: {len(wrong)} of {counted.sum()} values differ, the first in cycle {cycle}, slot {slot}: "
        f"{came[cycle, slot]}, not {expected[cycle, slot]}"
    )
