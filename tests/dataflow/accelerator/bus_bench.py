"""Bench of an accelerator between somebody else's models of a memory and a bus master.

The request holds the memory; the settings say where it is, which bytes of it cannot be read or written, how the bus
stalls, and a script: a list of commands, see `Host`.
"""

from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiSlave

from sw_ref.accelerator.registers import REGISTERS
from tb.request import Request

__all__ = ["script"]

# Of what is valid, that which must stay until it is taken.
CHANNELS = {
    "m_axi_ar": ("addr", "len", "size", "burst"),
    "m_axi_aw": ("addr", "len", "size", "burst"),
    "m_axi_w": ("data", "strb", "last"),
    "s_axi_ctrl_r": ("data", "resp"),
    "s_axi_ctrl_b": ("resp",),
}


class Memory:
    """Bytes from ``base`` on; accesses fail that touch a byte of ``broken``: first ones, and those behind the last."""

    def __init__(self, content, base, broken):
        self.bytes = bytearray(content.tobytes())
        self.base = base
        self.broken = broken

    def place(self, address, length):
        assert all(address + length <= first or behind <= address for first, behind in self.broken)
        at = address - self.base
        assert 0 <= at <= len(self.bytes) - length
        return slice(at, at + length)

    async def read(self, address, length):
        return bytes(self.bytes[self.place(address, length)])

    async def write(self, address, data):
        self.bytes[self.place(address, len(data))] = data


class Host:
    """What drives the registers: a command is a list of its name and arguments.

    ``write name value``; ``read name key``, into the figures; ``wait tail``, until so many products are done or one was
    given up; ``error``, what it was given up for; ``interrupt key``, the line; ``reset``, of everything; ``cycles n``;
    ``beyond address key``, what comes of an access there.
    """

    def __init__(self, dut, patience):
        self.dut = dut
        self.patience = patience
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_ctrl"), dut.clk, dut.rst)
        self.figures: dict[str, Any] = {"errors told": []}
        self.late = ""

    async def run(self, commands):
        for name, *arguments in commands:
            await getattr(self, name)(*arguments)

    async def write(self, name, value):
        await self.bus.write_dword(REGISTERS[name].offset, value)

    async def read(self, name, key):
        self.figures[key] = await self.bus.read_dword(REGISTERS[name].offset)

    async def wait(self, tail):
        for _polled in range(self.patience // 20):
            await self.read("queue_tail", "tail")
            await self.read("status", "status")
            if self.figures["tail"] == tail % (1 << 16) or self.figures["status"] & 2:
                return
            await ClockCycles(self.dut.clk, 10)
        self.late = f"product {self.figures['tail']} is never done"

    async def error(self):
        """Cause and number of the product that was given up."""
        for name in ("error_cause", "error_index"):
            await self.read(name, name)
        self.figures["errors told"].append([self.figures["error_cause"], self.figures["error_index"]])

    async def interrupt(self, key):
        self.figures[key] = int(self.dut.irq.value)

    async def cycles(self, number):
        await ClockCycles(self.dut.clk, number)

    async def reset(self):
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0

    async def beyond(self, address, key):
        """Read and write where there is no register; the responses go into the figures."""
        read: Any = await self.bus.read(address, 4)
        written: Any = await self.bus.write(address, bytes(4))
        self.figures[key] = [int(read.resp), int(written.resp)]


def pauses(seed, probability):
    random = np.random.default_rng(seed)
    while True:
        yield bool(random.random() < probability)


def stall(slave, probability, seed):
    write, read = slave.write_if, slave.read_if
    channels = [write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel]
    for index, channel in enumerate(channels):
        channel.set_pause_generator(pauses([seed, index], probability))


async def steady(dut):
    """AXI4 A3.2.1: what is valid stays as it is until it is taken."""
    held = {}
    while True:
        await RisingEdge(dut.clk)
        for prefix, names in CHANNELS.items():
            valid, ready = (bool(getattr(dut, f"{prefix}{name}").value) for name in ("valid", "ready"))
            now = tuple(int(getattr(dut, f"{prefix}{name}").value) for name in names) if valid else None
            if dut.rst.value:
                held.pop(prefix, None)
            elif prefix in held:
                assert now == held[prefix], f"{prefix}valid or what belongs to it changed before it was taken"
            held.pop(prefix, None)
            if now is not None and not ready:
                held[prefix] = now


@cocotb.test()
async def script(dut):
    """Run the script, and hand over the memory and what was read."""
    request = Request.load()
    settings = request.settings
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    memory = Memory(request.arrays["memory"], settings["base"], settings["broken"])
    slave = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=memory)
    host = Host(dut, settings["patience"])
    if settings["stalls"]:
        stall(slave, settings["stalls"], 1)
        stall(host.bus, settings["stalls"], 2)
    await host.reset()
    if settings["stalls"]:
        cocotb.start_soon(steady(dut))
    await host.run(settings["script"])
    request.report(figures=host.figures, arrays={"memory": np.frombuffer(bytes(memory.bytes), np.uint8)})
    assert not host.late, host.late
