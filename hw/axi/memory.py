"""An AXI4 slave on block RAM, with a second way in for single words."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.fifo import SyncFIFOBuffered

from hw.axi.lite_master import access_ports
from hw.axi.ports import read_ports, write_ports
from hw.core.ram import DEEP_RAM_LATENCY, DeepRam
from hw.core.registers import delayed
from hw.core.unit import Unit, place
from sw_ref.accelerator.bus import Bus

__all__ = ["AxiMemory"]

_OKAY, _SLAVE_ERROR = 0, 2
_INCR = 1
# Words that are read and not taken: as many as are on their way out of the memory, and some for the master's stalls.
_AHEAD = 2 * DEEP_RAM_LATENCY


@dataclass(frozen=True)
class _Burst:
    """A burst of one direction: what is left of it."""

    active: Signal
    address: Signal
    left: Signal
    wrong: Signal
    number: Signal

    @classmethod
    def of(cls, name: str, bus: Bus) -> "_Burst":
        bits = {"active": 1, "address": bus.word_address_bits, "left": 8, "wrong": 1, "number": 1}
        return cls(**{part: Signal(width, name=f"{name}_{part}") for part, width in bits.items()})


class AxiMemory(Unit):
    """``size`` bytes from address 0 on: a word a cycle each way, one burst after the other.

    Words beyond it, and bursts other than of whole words one behind the other (``INCR``), are answered with SLVERR and
    not written. Words that are read and written at once may be any; a word is in memory once its burst is answered.

    Ports
    -----
    s_axi_* : AXI4
    request, write, address, data, done, result, failed
        Single words of 32 bits, ahead of bursts, see `hw.axi.lite_master.access_ports`; ``failed`` beyond the memory.

    Parameters
    ----------
    bus : Bus
    size : int
        Bytes, a power of two of words of the bus.
    """

    def __init__(self, *, bus: Bus, size: int) -> None:
        words, rest = divmod(size, bus.word_bytes)
        if rest or words < 2 or words & (words - 1) or size > 1 << bus.address_bits:
            raise ValueError(
                f"Memory must have a power of two of words of {bus.word_bytes} bytes, within addresses of "
                f"{bus.address_bits} bits, not {size} bytes"
            )
        self.bus = bus
        self.size = size
        self.words = words
        ports = {**read_ports("s_axi", bus), **write_ports("s_axi", bus)}
        super().__init__({**{name: one.flip() for name, one in ports.items()}, **access_ports(address_bits=32)})

    @property
    def name(self) -> str:
        return f"axi_memory_{self.words}x{self.bus.data_bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        lanes = [place(m, f"lane_{i}", DeepRam(width=8, depth=self.words)) for i in range(self.bus.word_bytes)]
        asked, writes, reads = self._elaborate_single(m, lanes)
        self._elaborate_reads(m, lanes, blocked=reads, single=asked)
        self._elaborate_writes(m, lanes, blocked=writes, single=asked)
        return m

    def _is_beyond(self, address: Value) -> Value:
        """Whether the address of a word is."""
        return address[self._bits :].any() if len(address) > self._bits else Const(0)

    @property
    def _bits(self) -> int:
        return (self.words - 1).bit_length()

    def _elaborate_single(self, m: Module, lanes: list[DeepRam]) -> tuple[Value, Value, Value]:
        """Return the word of the bus that is asked for, and whether it is written or read in this cycle."""
        low = self.bus.low_bits
        busy, go = Signal(name="single_busy"), Signal(name="single_goes")
        beyond = Signal(name="single_beyond")
        word = self.address[low:]
        m.d.comb += [
            go.eq(self.request & ~busy),
            beyond.eq(self._is_beyond(word)),
            self.done.eq(delayed(m, go, DEEP_RAM_LATENCY, name="single_done", init=0)),
            self.failed.eq(beyond),
        ]
        with m.If(go):
            m.d.sync += busy.eq(1)
        with m.If(self.done):
            m.d.sync += busy.eq(0)
        data = Cat(lane.read_data for lane in lanes)
        part = self.address[2:low] if low > 2 else Const(0, 0)
        m.d.comb += self.result.eq(data.word_select(part, 32) if len(part) else data)
        return word[: self._bits], go & self.write & ~beyond, go & ~self.write

    def _elaborate_reads(self, m: Module, lanes: list[DeepRam], *, blocked: Value, single: Value) -> None:
        burst, bus = _Burst.of("read", self.bus), self.bus
        out = SyncFIFOBuffered(width=bus.data_bits + 3, depth=_AHEAD)
        m.submodules.read_words = out
        room = Signal(range(_AHEAD + 1), name="room", init=_AHEAD)
        go, taken, beyond = Signal(name="read_goes"), Signal(name="read_taken"), Signal(name="read_beyond")
        last = burst.left == 0
        m.d.comb += [
            self.s_axi_arready.eq(~burst.active),
            go.eq(burst.active & ~blocked & (room != 0)),
            beyond.eq(burst.wrong | self._is_beyond(burst.address)),
        ]
        self._begin(m, burst, "ar")
        with m.If(go):
            m.d.sync += [burst.address.eq(burst.address + 1), burst.left.eq(burst.left - 1)]
            m.d.sync += burst.active.eq(~last)
        where = Mux(blocked, single, burst.address[: self._bits])
        m.d.comb += [lane.read_address.eq(where) for lane in lanes]
        told = delayed(m, Cat(last, beyond, burst.number), DEEP_RAM_LATENCY, name="read_told")
        m.d.comb += [
            out.w_en.eq(delayed(m, go, DEEP_RAM_LATENCY, name="read_comes", init=0)),
            out.w_data.eq(Cat(told, (lane.read_data for lane in lanes))),
            out.r_en.eq(self.s_axi_rready),
            taken.eq(out.r_rdy & out.r_en),
            self.s_axi_rvalid.eq(out.r_rdy),
            self.s_axi_rlast.eq(out.r_data[0]),
            self.s_axi_rresp.eq(Mux(out.r_data[1], _SLAVE_ERROR, _OKAY)),
            self.s_axi_rid.eq(out.r_data[2]),
            self.s_axi_rdata.eq(out.r_data[3:]),
        ]
        m.d.sync += room.eq(room + taken - go)

    def _elaborate_writes(self, m: Module, lanes: list[DeepRam], *, blocked: Value, single: Value) -> None:
        burst, go = _Burst.of("write", self.bus), Signal(name="write_goes")
        beyond = Signal(name="write_beyond")
        m.d.comb += [
            self.s_axi_awready.eq(~burst.active & ~self.s_axi_bvalid),
            self.s_axi_wready.eq(burst.active & ~blocked),
            go.eq(self.s_axi_wvalid & self.s_axi_wready),
            beyond.eq(burst.wrong | self._is_beyond(burst.address)),
        ]
        self._begin(m, burst, "aw")
        with m.If(self.s_axi_bready):
            m.d.sync += self.s_axi_bvalid.eq(0)
        with m.If(go):
            m.d.sync += [burst.address.eq(burst.address + 1), burst.left.eq(burst.left - 1), burst.wrong.eq(beyond)]
            with m.If(burst.left == 0):
                m.d.sync += [burst.active.eq(0), self.s_axi_bvalid.eq(1), self.s_axi_bid.eq(burst.number)]
                m.d.sync += self.s_axi_bresp.eq(Mux(beyond, _SLAVE_ERROR, _OKAY))
        parts = self.bus.word_bytes // 4
        places = (self.address[2 : self.bus.low_bits] == part if parts > 1 else Const(1) for part in range(parts))
        ours = Cat(place.replicate(4) for place in places)
        data = Mux(blocked, self.data.replicate(parts), self.s_axi_wdata)
        written = Mux(blocked, ours, Mux(go & ~beyond, self.s_axi_wstrb, 0))
        where = Mux(blocked, single, burst.address[: self._bits])
        for index, lane in enumerate(lanes):
            m.d.comb += [
                lane.write.eq(written[index]),
                lane.write_address.eq(where),
                lane.write_data.eq(data.word_select(index, 8)),
            ]

    def _begin(self, m: Module, burst: _Burst, channel: str) -> None:
        """Take a burst's address."""

        def port(name: str) -> Value:
            return getattr(self, f"s_axi_{channel}{name}")

        with m.If(port("valid") & port("ready")):
            m.d.sync += [
                burst.active.eq(1),
                burst.address.eq(port("addr")[self.bus.low_bits :]),
                burst.left.eq(port("len")),
                burst.wrong.eq((port("burst") != _INCR) | (port("size") != self.bus.low_bits)),
                burst.number.eq(port("id")),
            ]
