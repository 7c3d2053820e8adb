"""Columns that take turns in one pipeline: a row that leaves an array waits until all of its columns had theirs."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit

__all__ = ["Turns"]


class Turns(Unit):
    """A FIFO of rows, of which the oldest stays for so many cycles.

    Ports
    -----
    row : In(width), valid : In(1)
        A row comes in. There must be room for it, which its sender sees to.
    waiting : Out(width), active : Out(1), turn : Out(range(turns)), is_last : Out(1)
        The oldest row, whether there is one, whose turn it is, and whether that is the last. A row that finds nothing
        before it is there `latency` cycles after it came in.

    Parameters
    ----------
    width : int
    turns : int
        At least 2.
    depth : int
        Rows that there is room for.
    """

    latency: int = 2

    def __init__(self, *, width: int, turns: int, depth: int) -> None:
        self.width = width
        self.turns = turns
        self.depth = depth
        super().__init__(
            {
                "row": In(width),
                "valid": In(1),
                "waiting": Out(width),
                "active": Out(1),
                "turn": Out(range(turns)),
                "is_last": Out(1),
            }
        )

    @property
    def name(self) -> str:
        return f"turns_{self.turns}_of_{self.depth}x{self.width}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # one of two places would not take two rows in a row
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.width, depth=max(self.depth, 3))
        turn = Signal.like(self.turn, name="next_turn")
        ends = self.active & self.is_last
        m.d.comb += [
            fifo.w_data.eq(self.row),
            fifo.w_en.eq(self.valid),
            self.waiting.eq(fifo.r_data),
            self.active.eq(fifo.r_rdy),
            self.turn.eq(turn),
            self.is_last.eq(turn == self.turns - 1),
            fifo.r_en.eq(ends),
        ]
        m.d.sync += turn.eq(Mux(ends, 0, turn + self.active))
        return m
