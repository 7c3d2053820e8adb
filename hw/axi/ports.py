"""Ports of AXI4 and AXI4-Lite, by the names that the standard gives them."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Member, Out

from hw.core.unit import Unit
from sw_ref.accelerator.bus import Bus

__all__ = ["forward", "lite_ports", "read_ports", "write_ports"]


def read_ports(prefix: str, bus: Bus) -> dict[str, Member]:
    """Members of a master's read channels (AMBA AXI, A2.5, A2.6), with one bit of ID."""
    outputs = {"arid": 1, "araddr": bus.address_bits, "arlen": 8, "arsize": 3, "arburst": 2, "arlock": 1, "arcache": 4}
    outputs |= {"arprot": 3, "arvalid": 1, "rready": 1}
    inputs = {"arready": 1, "rid": 1, "rdata": bus.data_bits, "rresp": 2, "rlast": 1, "rvalid": 1}
    return _members(prefix, inputs, outputs)


def write_ports(prefix: str, bus: Bus) -> dict[str, Member]:
    """Members of a master's write channels (AMBA AXI, A2.2 to A2.4), with one bit of ID."""
    outputs = {"awid": 1, "awaddr": bus.address_bits, "awlen": 8, "awsize": 3, "awburst": 2, "awlock": 1, "awcache": 4}
    outputs |= {"awprot": 3, "awvalid": 1}
    outputs |= {"wdata": bus.data_bits, "wstrb": bus.word_bytes, "wlast": 1, "wvalid": 1, "bready": 1}
    inputs = {"awready": 1, "wready": 1, "bid": 1, "bresp": 2, "bvalid": 1}
    return _members(prefix, inputs, outputs)


def lite_ports(prefix: str, *, address_bits: int) -> dict[str, Member]:
    """Members of a slave of 32 bits (AMBA AXI, B1.1)."""
    inputs = {"awaddr": address_bits, "awprot": 3, "awvalid": 1, "wdata": 32, "wstrb": 4, "wvalid": 1, "bready": 1}
    inputs |= {"araddr": address_bits, "arprot": 3, "arvalid": 1, "rready": 1}
    outputs = {"awready": 1, "wready": 1, "bresp": 2, "bvalid": 1, "arready": 1, "rdata": 32, "rresp": 2, "rvalid": 1}
    return _members(prefix, inputs, outputs)


def _members(prefix: str, inputs: dict[str, int], outputs: dict[str, int]) -> dict[str, Member]:
    return {
        **{f"{prefix}_{name}": In(bits) for name, bits in inputs.items()},
        **{f"{prefix}_{name}": Out(bits) for name, bits in outputs.items()},
    }


def forward(m: Module, outer: Unit, inner: Unit, prefix: str, *, inner_prefix: str = "") -> None:
    """Make ports of ``inner`` those of ``outer``, which begin with ``prefix``."""
    inner_prefix = inner_prefix or prefix
    for port, (value, flow) in inner.ports().items():
        if port.startswith(f"{inner_prefix}_"):
            other = getattr(outer, port.replace(inner_prefix, prefix, 1))
            m.d.comb += value.eq(other) if flow == In else other.eq(value)
