"""Many counters of events with one adder."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.core.select import pick
from hw.core.unit import Unit

__all__ = ["Counters"]


class Counters(Unit):
    """Counts events, modulo ``2**bits``: each counter stands in a memory, and is brought up to date in its turn.

    Ports
    -----
    events : In(count)
        What happens in this cycle.
    clear : In(1)
        What has happened before this cycle is forgotten.
    read : In
        Which counter is wanted; to be held.
    value : Out(bits), valid : Out(1)
        It, up to this cycle, every ``turns`` cycles.

    Parameters
    ----------
    count, bits : int
    """

    def __init__(self, *, count: int, bits: int) -> None:
        self.count = count
        self.bits = bits
        super().__init__(
            {
                "events": In(count),
                "clear": In(1),
                "read": In(range(count)),
                "value": Out(bits),
                "valid": Out(1),
            }
        )

    @property
    def name(self) -> str:
        return f"counters_{self.count}x{self.bits}"

    @property
    def turns(self) -> int:
        """Cycles between two turns of a counter: a power of two."""
        return 1 << max(1, (self.count - 1).bit_length())

    def circuit(self, platform: object) -> Module:
        m = Module()
        turn = Signal(range(self.turns), name="turn")
        # turns in which what the memory holds does not count, as in the beginning
        clearing = Signal(range(self.turns + 1), name="clearing", init=self.turns)
        m.submodules.totals = memory = Memory(shape=self.bits, depth=self.turns, init=[])
        read, write = memory.read_port(domain="comb"), memory.write_port()
        # events since the last turn
        recent = [Signal(range(self.turns + 1), name=f"recent_{at}") for at in range(self.count)]
        for at, count in enumerate(recent):
            m.d.sync += count.eq(Mux(self.clear | (turn == at), 0, count) + self.events[at])
        m.d.sync += [turn.eq(turn + 1), clearing.eq(Mux(clearing == 0, 0, clearing - 1))]
        with m.If(self.clear):
            m.d.sync += clearing.eq(self.turns)
        now = pick(turn, [*recent, *[Const(0, len(recent[0]))] * (self.turns - self.count)])
        total = Signal(self.bits, name="total")
        m.d.comb += [
            read.addr.eq(turn),
            total.eq(Mux(clearing != 0, 0, read.data) + now),
            write.addr.eq(turn),
            write.data.eq(total),
            write.en.eq(1),
            self.value.eq(total),
            self.valid.eq(turn == self.read),
        ]
        return m
