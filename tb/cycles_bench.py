"""Bench of anything without handshakes: a word on every input each cycle, and every output against the model.

The request holds, for each input field, the codes ``in_<field>`` (cycles, slots); for each output field, what
must come out, ``expected_<field>`` (cycles, slots), and which of that counts, ``counted_<field>``; and
``reset`` (cycles,). Its settings are the fields of each port, the low ones first, with the bits of a slot of each.
Outputs are looked at before the inputs of their cycle are driven.
"""

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from tb.request import Request
from tb.streams import pack, unpack, word

__all__ = ["cycles"]


@cocotb.test()
async def cycles(dut) -> None:
    """Every output that counts is the model's, bit for bit and in its cycle."""
    request = Request.load()
    arrays, ports = request.arrays, request.settings["ports"]
    inputs, outputs, unknown, shapes = {}, {}, {}, {}
    for port, fields in ports.items():
        if f"in_{next(iter(fields))}" in arrays:
            inputs[port] = pack(*((arrays[f"in_{field}"], bits) for field, bits in fields.items()))
        else:
            outputs[port], unknown[port] = [], []
            shapes[port] = [(arrays[f"expected_{field}"].shape[1], bits) for field, bits in fields.items()]
    # where no register has a reset, there is none
    if hasattr(dut, "rst"):
        inputs["rst"] = [int(reset) for reset in arrays["reset"]]
    drives = [(getattr(dut, port), words) for port, words in inputs.items()]
    looks = [(getattr(dut, port), words, unknown[port]) for port, words in outputs.items()]
    for handle, words in drives:
        handle.value = words[0]
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    for cycle in range(len(arrays["reset"])):
        await FallingEdge(dut.clk)
        for handle, *seen in looks:
            for kept, part in zip(seen, word(handle), strict=True):
                kept.append(part)
        for handle, words in drives:
            handle.value = words[cycle]
    came, unclear = {}, {}
    for port, words in outputs.items():
        came.update(zip(ports[port], unpack(words, *shapes[port]), strict=True))
        if any(unknown[port]):
            unclear.update(zip(ports[port], unpack(unknown[port], *shapes[port]), strict=True))
    request.report(figures={}, arrays=came)
    wrong = [text for field in came if (text := _difference(field, came[field], unclear.get(field), arrays))]
    if wrong:
        raise AssertionError("; ".join(wrong))


def _difference(field: str, came: np.ndarray, unclear: np.ndarray | None, arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong with one output, in words; ``unclear`` is not 0 where bits that came are neither 0 nor 1."""
    expected, counted = arrays[f"expected_{field}"], arrays[f"counted_{field}"]
    if unclear is not None and len(unknown := np.argwhere((unclear != 0) & counted)):
        cycle, slot = unknown[0]
        return f"{field}: {len(unknown)} of {counted.sum()} values hold X or Z, the first in cycle {cycle}, slot {slot}"
    wrong = np.argwhere((came != expected) & counted)
    if not len(wrong):
        return None
    cycle, slot = wrong[0]
    return (
        f"{field}: {len(wrong)} of {counted.sum()} values differ, the first in cycle {cycle}, slot {slot}: "
        f"{came[cycle, slot]}, not {expected[cycle, slot]}"
    )
