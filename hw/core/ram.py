"""Memories with a port to write and one to read."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.core.registers import delayed
from hw.core.select import pick
from hw.core.unit import Unit, place

__all__ = ["CHOICE_LATENCY", "DEEP_RAM_LATENCY", "RAM_LATENCY", "DeepRam", "Ram"]

RAM_LATENCY = 2
"""Cycles from an address to the word of a `Ram`: a block RAM is slow to answer, and has a register behind it."""

CHOICE_LATENCY = RAM_LATENCY + 1
"""Cycles from an address to a register behind the choice between the word and another value."""

DEEP_RAM_LATENCY = RAM_LATENCY + 2
"""Of `DeepRam`: one more on the way to its parts, which lie far from each other, and one for the choice among them."""

# Words of the deepest block RAM of ECP5, and of the deepest that has parity bits, so that nine make a word of it.
_DEEPEST, _WITH_PARITY = 1 << 14, 1 << 11
_SLICE = 8

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
  wire width {width} \read__data
  wire width {width} \word_1
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
    connect \DATA \read__data
    connect \ARST 1'0
    connect \SRST 1'0
    connect \EN 1'1
    connect \CLK \clk
  end
  cell $dff $3
    parameter \WIDTH {width}
    parameter \CLK_POLARITY 1
    connect \CLK \clk
    connect \D \read__data
    connect \Q \word_1
  end
  connect \read_data \word_1
end
"""


class _Memory(Unit):
    """What all memories have: ``width``, ``depth`` and ports."""

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


class Ram(_Memory):
    """``depth`` words of ``width`` bits, of which nothing is known in the beginning.

    Ports
    -----
    write_address : In, write_data : In(width), write : In(1)
        The word is there from the next cycle on.
    read_address : In, read_data : Out(width)
        The word, `RAM_LATENCY` cycles later; unknown if it is written in the cycle of its address.

    Parameters
    ----------
    width, depth : int
        ``depth`` is 2 at least.
    """

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
            self.read_data.eq(delayed(m, read.data, 1, name="word")),
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


class DeepRam(_Memory):
    """``depth`` words of ``width`` bits in parts that a block RAM is as deep as.

    Ports are those of `Ram`, but that ``read_data`` comes `DEEP_RAM_LATENCY` cycles after its address. Deep parts are
    also narrow: a block RAM that has no more bits in a word needs no choice between several of them.

    Parameters
    ----------
    width, depth : int
        ``depth`` is 2 at least.
    """

    @property
    def name(self) -> str:
        return f"deep_ram_{self.depth}x{self.width}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        low = min((self.depth - 1).bit_length(), _DEEPEST.bit_length() - 1)
        inputs = ("write", "write_address", "write_data", "read_address")
        now = {name: delayed(m, getattr(self, name), 1, name=f"{name}_now") for name in inputs}
        words: list[Value] = []
        for index, first in enumerate(range(0, self.depth, 1 << low)):
            depth = max(min(1 << low, self.depth - first), 2)
            written = now["write"] & (now["write_address"][low:] == index)
            word = self._place_part(m, index, depth, {**now, "write": written})
            words.append(word)
        which = delayed(m, now["read_address"][low:], RAM_LATENCY, name="which")
        m.d.comb += self.read_data.eq(delayed(m, pick(which, words), 1, name="word"))
        return m

    def _place_part(self, m: Module, index: int, depth: int, ports: Mapping[str, Value]) -> Value:
        """What a part of so many words gives."""
        width = min(_SLICE, self.width) if depth > _WITH_PARITY else self.width
        read = []
        for first in range(0, self.width, width):
            data = ports["write_data"][first : first + width]
            part = place(m, f"part_{index}_{first}", Ram(width=len(data), depth=depth))
            m.d.comb += [getattr(part, name).eq(value) for name, value in {**ports, "write_data": data}.items()]
            read.append(part.read_data)
        return Cat(read)
