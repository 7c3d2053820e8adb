"""An AXI4-Lite master: one access at a time."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hw.axi.ports import lite_ports
from hw.core.unit import Unit

__all__ = ["LiteMaster", "access_ports"]


def access_ports(*, address_bits: int) -> dict:
    """Members of whoever is asked for one word of 32 bits at a time.

    ``request`` is held, with ``write``, ``address`` and ``data``, until ``done``, which is high for a cycle; ``result``
    and ``failed`` are known in that cycle.
    """
    return {
        "request": In(1),
        "write": In(1),
        "address": In(address_bits),
        "data": In(32),
        "done": Out(1),
        "result": Out(32),
        "failed": Out(1),
    }


class LiteMaster(Unit):
    """Turns requests into accesses.

    Ports
    -----
    request, write, address, data, done, result, failed
        See `access_ports`.
    m_axi_* : AXI4-Lite

    Parameters
    ----------
    address_bits : int
        Of a byte.
    """

    def __init__(self, *, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__(
            {
                **access_ports(address_bits=address_bits),
                **{name: one.flip() for name, one in lite_ports("m_axi", address_bits=address_bits).items()},
            }
        )

    @property
    def name(self) -> str:
        return f"lite_master_{self.address_bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        begun = Signal(name="begun")
        begins = self.request & ~begun & ~self.done
        m.d.comb += [
            self.m_axi_awaddr.eq(self.address),
            self.m_axi_araddr.eq(self.address),
            self.m_axi_wdata.eq(self.data),
            self.m_axi_wstrb.eq(0b1111),
            self.m_axi_bready.eq(1),
            self.m_axi_rready.eq(1),
        ]
        for channel in ("aw", "w", "ar"):
            valid, ready = (getattr(self, f"m_axi_{channel}{part}") for part in ("valid", "ready"))
            with m.If(valid & ready):
                m.d.sync += valid.eq(0)
        with m.If(begins):
            m.d.sync += [
                begun.eq(1),
                self.m_axi_awvalid.eq(self.write),
                self.m_axi_wvalid.eq(self.write),
                self.m_axi_arvalid.eq(~self.write),
            ]
        m.d.sync += self.done.eq(0)
        with m.If(begun & (self.m_axi_bvalid | self.m_axi_rvalid)):
            m.d.sync += [
                begun.eq(0),
                self.done.eq(1),
                self.result.eq(self.m_axi_rdata),
                self.failed.eq(Mux(self.write, self.m_axi_bresp[1], self.m_axi_rresp[1])),
            ]
        return m
