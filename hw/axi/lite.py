"""An AXI4-Lite slave: one access at a time each way."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.axi.ports import lite_ports
from hw.core.unit import Unit

__all__ = ["LiteSlave"]

# A3.4.4: there is nothing at the address
_DECERR = 3


class LiteSlave(Unit):
    """Turns accesses into strobes.

    Ports
    -----
    s_axi_* : AXI4-Lite
    write : Out(1), write_address, write_data, write_strobe : Out
        For a cycle; ``write_known`` is then whether there is something at the address.
    read_address : Out, read_data : In(32), read_known : In(1), read_ready : In(1)
        What stands there, and whether something does, in a cycle in which it is ready.

    Parameters
    ----------
    address_bits : int
        Of a byte.
    """

    def __init__(self, *, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__(
            {
                **lite_ports("s_axi", address_bits=address_bits),
                "write": Out(1),
                "write_address": Out(address_bits - 2),
                "write_data": Out(32),
                "write_strobe": Out(4),
                "write_known": In(1),
                "read_address": Out(address_bits - 2),
                "read_data": In(32),
                "read_known": In(1),
                "read_ready": In(1),
            }
        )

    @property
    def name(self) -> str:
        return f"lite_slave_{self.address_bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        has_address, has_data, has_read = (Signal(name=f"has_{name}") for name in ("address", "data", "read"))
        m.d.comb += [
            self.s_axi_awready.eq(~has_address),
            self.s_axi_wready.eq(~has_data),
            self.write.eq(has_address & has_data & ~self.s_axi_bvalid),
        ]
        with m.If(self.s_axi_awvalid & self.s_axi_awready):
            m.d.sync += [has_address.eq(1), self.write_address.eq(self.s_axi_awaddr[2:])]
        with m.If(self.s_axi_wvalid & self.s_axi_wready):
            m.d.sync += [has_data.eq(1), self.write_data.eq(self.s_axi_wdata), self.write_strobe.eq(self.s_axi_wstrb)]
        with m.If(self.s_axi_bready):
            m.d.sync += self.s_axi_bvalid.eq(0)
        with m.If(self.write):
            m.d.sync += [has_address.eq(0), has_data.eq(0), self.s_axi_bvalid.eq(1)]
            m.d.sync += self.s_axi_bresp.eq(Mux(self.write_known, 0, _DECERR))

        m.d.comb += self.s_axi_arready.eq(~has_read & ~self.s_axi_rvalid)
        with m.If(self.s_axi_arvalid & self.s_axi_arready):
            m.d.sync += [has_read.eq(1), self.read_address.eq(self.s_axi_araddr[2:])]
        with m.If(self.s_axi_rready):
            m.d.sync += self.s_axi_rvalid.eq(0)
        with m.If(has_read & self.read_ready):
            m.d.sync += [has_read.eq(0), self.s_axi_rvalid.eq(1), self.s_axi_rdata.eq(self.read_data)]
            m.d.sync += self.s_axi_rresp.eq(Mux(self.read_known, 0, _DECERR))
        return m
