"""An AXI4 master that reads for several channels."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from hw.axi.ports import read_ports
from hw.core.select import pick
from hw.core.unit import Unit
from sw_ref.accelerator.bus import Bus

__all__ = ["ReadMaster"]


class ReadMaster(Unit):
    """Reads bursts for channels, which take turns.

    A channel asks only for what it has room for, so data is taken whenever it comes. Bursts are answered in the order
    in which they are asked for: all have one ID.

    Ports
    -----
    m_axi_ar*, m_axi_r* : AXI4
    request : In(channels)
        A channel wants a burst; held, with what belongs to it, until ``granted``.
    address, words, tag : In, one after the other for each channel
        Where it begins, in words; its words, less one; and anything that is to come with its data.
    granted : Out(channels)
        Of one channel, in the cycle in which it is asked for.
    stop : In(1)
        Ask for nothing more.
    idle : Out(1)
        Nothing is asked for that has not come.
    valid : Out(channels), data : Out, last : Out(1), error : Out(1), data_tag : Out
        A word for a channel, whether it is its burst's last one, and whether it could not be read.

    Parameters
    ----------
    channels, tag_bits : int
    bus : Bus
    """

    def __init__(self, *, channels: int, tag_bits: int, bus: Bus) -> None:
        self.channels = channels
        self.tag_bits = tag_bits
        self.bus = bus
        super().__init__(
            {
                **read_ports("m_axi", bus),
                "request": In(channels),
                "address": In(channels * bus.word_address_bits),
                "words": In(channels * bus.length_bits),
                "tag": In(channels * tag_bits),
                "granted": Out(channels),
                "stop": In(1),
                "idle": Out(1),
                "valid": Out(channels),
                "data": Out(bus.data_bits),
                "last": Out(1),
                "error": Out(1),
                "data_tag": Out(tag_bits),
            }
        )

    @property
    def name(self) -> str:
        return f"read_master_{self.channels}x{self.bus.data_bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        number = Signal(range(self.channels), name="chosen")
        m.submodules.owners = owners = SyncFIFO(width=len(number) + self.tag_bits, depth=self.bus.outstanding)
        asking, go, asks = Signal(name="asking"), Signal(name="go"), self._of(self.request, 1, number)
        address, words = Signal(self.bus.address_bits, name="asked"), Signal(8, name="length")
        m.d.comb += [
            go.eq(asks & ~self.stop & owners.w_rdy & (~asking | self.m_axi_arready)),
            self.granted.eq(Mux(go, Const(1, self.channels) << number, 0)[: self.channels]),
            owners.w_en.eq(go),
            owners.w_data.eq(Cat(self._of(self.tag, self.tag_bits, number), number)),
            self.m_axi_arvalid.eq(asking),
            self.m_axi_araddr.eq(address),
            self.m_axi_arlen.eq(words),
            self.m_axi_arsize.eq(self.bus.low_bits),
            self.m_axi_arburst.eq(1),
            # normal memory, not to be cached, which may be buffered
            self.m_axi_arcache.eq(0b0011),
            self.m_axi_rready.eq(1),
        ]
        with m.If(go):
            where = self._of(self.address, self.bus.word_address_bits, number)
            m.d.sync += [
                asking.eq(1),
                address.eq(Cat(Const(0, self.bus.low_bits), where)),
                words.eq(self._of(self.words, self.bus.length_bits, number)),
            ]
        with m.Elif(self.m_axi_arready):
            m.d.sync += asking.eq(0)
        self._elaborate_choice(m, number, asks, go)
        self._elaborate_answers(m, owners)
        return m

    def _of(self, values: Value, bits: int, number: Value) -> Value:
        """The value of one channel."""
        words = [values[at * bits : (at + 1) * bits] for at in range(self.channels)]
        return pick(number, words) if bits else Const(0, 0)

    def _elaborate_choice(self, m: Module, number: Signal, asks: Value, go: Signal) -> None:
        """The next channel that asks, chosen ahead so that what it asks for is all that is to be selected."""
        behind = self.request & Cat(Const(0, 1), *(number < at for at in range(1, self.channels)))
        with m.If(go | ~asks):
            m.d.sync += number.eq(_first(Mux(behind.any(), behind, self.request)))

    def _elaborate_answers(self, m: Module, owners: SyncFIFO) -> None:
        """Route what comes to who asked for it, a cycle later."""
        taken = Signal(name="word_taken")
        under_way = Signal(range(self.bus.outstanding + 2), name="under_way")
        tag, owner = owners.r_data[: self.tag_bits], owners.r_data[self.tag_bits :]
        m.d.comb += [
            taken.eq(self.m_axi_rvalid & owners.r_rdy),
            owners.r_en.eq(taken & self.m_axi_rlast),
            self.idle.eq(under_way == 0),
        ]
        m.d.sync += [
            self.valid.eq(Mux(taken, Const(1, self.channels) << owner, 0)[: self.channels]),
            under_way.eq(under_way + owners.w_en - owners.r_en),
            self.data.eq(self.m_axi_rdata),
            self.last.eq(self.m_axi_rlast),
            self.error.eq(self.m_axi_rresp[1]),
            self.data_tag.eq(tag),
        ]


def _first(bits: Value) -> Value:
    """Number of the lowest bit that is set; of the highest if none is."""
    number: Value = Const(len(bits) - 1)
    for at in reversed(range(len(bits) - 1)):
        number = Mux(bits[at], at, number)
    return number
