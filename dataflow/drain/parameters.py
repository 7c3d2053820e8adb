"""Parameters of the drain edge, waiting for the sums that they belong to."""

from amaranth.hdl import Module, Mux
from amaranth.lib import stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit

__all__ = ["ParameterQueue"]


class ParameterQueue(Unit):
    """A FIFO whose entries are reserved before they are used: an array cannot wait once its operands are in.

    Ports
    -----
    parameters : In(stream)
    available : Out
        Entries that have come in and are not reserved yet.
    amount : In, reserve : In(1)
        With ``reserve``, so many more are, at most ``available``.
    data : Out(width)
        The oldest entry; it is there 3 cycles after it has been reserved, or earlier.
    take : In(1)
        Go on to the next.

    Parameters
    ----------
    width : int
    depth : int
        Entries.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        self.width = width
        self.depth = depth
        count = range(depth + 1)
        super().__init__(
            {
                "parameters": In(stream.Signature(width)),
                "available": Out(count),
                "amount": In(count),
                "reserve": In(1),
                "data": Out(width),
                "take": In(1),
            }
        )

    @property
    def name(self) -> str:
        return f"parameters_{self.depth}x{self.width}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.width, depth=self.depth)
        accepted = self.parameters.valid & self.parameters.ready
        m.d.comb += [
            fifo.w_data.eq(self.parameters.payload),
            fifo.w_en.eq(accepted),
            self.parameters.ready.eq(fifo.w_rdy),
            fifo.r_en.eq(self.take),
            self.data.eq(fifo.r_data),
        ]
        rest = self.available - self.amount
        m.d.sync += self.available.eq(Mux(self.reserve, rest, self.available) + accepted)
        return m
