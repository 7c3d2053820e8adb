"""An AXI4 master that writes."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.axi.ports import write_ports
from hw.core.unit import Unit
from sw_ref.accelerator.bus import Bus

__all__ = ["WriteMaster"]

# Words and bursts that wait for the bus.
_WORDS, _BURSTS = 16, 4


class WriteMaster(Unit):
    """Writes bursts: where to, and what, each as it comes.

    Ports
    -----
    m_axi_aw*, m_axi_w*, m_axi_b* : AXI4
    burst_valid : In(1), burst_ready : Out(1), address, words : In
        A burst: its first word's address, in words, and its words, less one.
    word_valid : In(1), word_ready : Out(1), data, strobe, last : In
        A word, its bytes that count, and whether it is its burst's last.
    idle : Out(1)
        All bursts have been answered.
    failed : Out(1)
        One could not be written, now.

    Parameters
    ----------
    bus : Bus
    outstanding : int
        Bursts that are not answered, at most.
    """

    def __init__(self, *, bus: Bus, outstanding: int) -> None:
        self.bus = bus
        self.outstanding = outstanding
        super().__init__(
            {
                **write_ports("m_axi", bus),
                "burst_valid": In(1),
                "burst_ready": Out(1),
                "address": In(bus.word_address_bits),
                "words": In(bus.length_bits),
                "word_valid": In(1),
                "word_ready": Out(1),
                "data": In(bus.data_bits),
                "strobe": In(bus.word_bytes),
                "last": In(1),
                "idle": Out(1),
                "failed": Out(1),
            }
        )

    @property
    def name(self) -> str:
        return f"write_master_{self.bus.data_bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.submodules.bursts = bursts = SyncFIFOBuffered(width=len(self.address) + len(self.words), depth=_BURSTS)
        m.submodules.words = words = SyncFIFOBuffered(width=self.bus.data_bits + self.bus.word_bytes + 1, depth=_WORDS)
        open_bursts = Signal(range(self.outstanding + 1), name="unanswered")
        put = Signal(name="burst_put")
        m.d.comb += [
            self.burst_ready.eq(bursts.w_rdy & (open_bursts != self.outstanding)),
            put.eq(self.burst_valid & self.burst_ready),
            bursts.w_en.eq(put),
            bursts.w_data.eq(Cat(self.address, self.words)),
            self.m_axi_awvalid.eq(bursts.r_rdy),
            self.m_axi_awaddr.eq(Cat(Const(0, self.bus.low_bits), bursts.r_data[: len(self.address)])),
            self.m_axi_awlen.eq(bursts.r_data[len(self.address) :]),
            self.m_axi_awsize.eq(self.bus.low_bits),
            self.m_axi_awburst.eq(1),
            # normal memory, not to be cached, which may be buffered
            self.m_axi_awcache.eq(0b0011),
            bursts.r_en.eq(self.m_axi_awready),
            self.word_ready.eq(words.w_rdy),
            words.w_en.eq(self.word_valid),
            words.w_data.eq(Cat(self.data, self.strobe, self.last)),
            self.m_axi_wvalid.eq(words.r_rdy),
            Cat(self.m_axi_wdata, self.m_axi_wstrb, self.m_axi_wlast).eq(words.r_data),
            words.r_en.eq(self.m_axi_wready),
            self.m_axi_bready.eq(1),
            self.idle.eq(open_bursts == 0),
        ]
        m.d.sync += [
            open_bursts.eq(open_bursts + put - self.m_axi_bvalid),
            self.failed.eq(self.m_axi_bvalid & self.m_axi_bresp[1]),
        ]
        return m
