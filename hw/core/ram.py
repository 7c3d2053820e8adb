"""A memory with a port to write and one to read."""

from amaranth.hdl import Module
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit

__all__ = ["Ram"]

# As Amaranth writes it, but for what the memory holds in the beginning.
_RTLIL = r"""
module \{name}
  memory width {width} size {depth} \words
  wire width 1 input 1 \clk
  wire width {address} input 3 \write_address
  wire width {width} input 4 \write_data
  wire width 1 input 5 \write
  wire width {address} input 6 \read_address
  wire width {width} output 7 \read_data
  cell $memwr_v2 $1
    parameter \MEMID "\\words"
    parameter \ABITS {address}
    parameter \WIDTH {width}
    parameter \CLK_ENABLE 1
    parameter \CLK_POLARITY 1
    parameter \PORTID 0
    parameter \PRIORITY_MASK 0
    connect \ADDR \write_address
    connect \DATA \write_data
    connect \EN {{ {enables} }}
    connect \CLK \clk
  end
  cell $memrd_v2 $2
    parameter \MEMID "\\words"
    parameter \ABITS {address}
    parameter \WIDTH {width}
    parameter \TRANSPARENCY_MASK 1'0
    parameter \COLLISION_X_MASK 1'0
    parameter \ARST_VALUE {width}'{unknown}
    parameter \SRST_VALUE {width}'{unknown}
    parameter \INIT_VALUE {width}'{unknown}
    parameter \CE_OVER_SRST 0
    parameter \CLK_ENABLE 1
    parameter \CLK_POLARITY 1
    connect \ADDR \read_address
    connect \DATA \read_data
    connect \ARST 1'0
    connect \SRST 1'0
    connect \EN 1'1
    connect \CLK \clk
  end
end
"""


class Ram(Unit):
    """``depth`` words of ``width`` bits, of which nothing is known in the beginning.

    Ports
    -----
    write_address : In, write_data : In(width), write : In(1)
        The word is there from the next cycle on.
    read_address : In, read_data : Out(width)
        The word as it was, in the next cycle.

    Parameters
    ----------
    width, depth : int
        ``depth`` is 2 at least.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        self.width = width
        self.depth = depth
        address = (depth - 1).bit_length()
        super().__init__(
            {
                "write_address": In(address),
                "write_data": In(width),
                "write": In(1),
                "read_address": In(address),
                "read_data": Out(width),
            }
        )

    @property
    def name(self) -> str:
        return f"ram_{self.depth}x{self.width}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.submodules.words = memory = Memory(shape=self.width, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data),
        ]
        return m

    def rtlil(self) -> str:
        return _RTLIL.format(
            name=self.module_name,
            width=self.width,
            depth=self.depth,
            address=len(self.read_address),
            enables=" ".join([r"\write"] * self.width),
            unknown="x" * self.width,
        )
