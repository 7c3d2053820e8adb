"""Bytes on a serial line: a start bit, eight bits, the low one first, and a stop bit."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hw.core.registers import delayed
from hw.core.unit import Unit

__all__ = ["UartReceiver", "UartTransmitter"]

_FEWEST = 4


def _checked(divisor: int) -> int:
    if divisor < _FEWEST:
        raise ValueError(f"Divisor must be at least {_FEWEST} cycles for a bit, not {divisor}")
    return divisor


class UartReceiver(Unit):
    """Takes bytes from a line, each bit in its middle.

    Ports
    -----
    rx : In(1)
        The line, of no clock of ours.
    byte : Out(8), valid : Out(1)
        A byte, for a cycle.
    broken : Out(1)
        In place of ``valid``, where there was no stop bit.

    Parameters
    ----------
    divisor : int
        Cycles of a bit, at least 4.
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__({"rx": In(1), "byte": Out(8), "valid": Out(1), "broken": Out(1)})

    @property
    def name(self) -> str:
        return f"uart_receiver_{self.divisor}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        line = delayed(m, self.rx, 2, name="line", init=1)
        busy, left = Signal(name="busy"), Signal(range(self.divisor), name="cycles_left")
        bits, at = Signal(9, name="bits"), Signal(range(10), name="place")
        m.d.sync += [self.valid.eq(0), self.broken.eq(0)]
        m.d.comb += self.byte.eq(bits[1:])
        with m.If(busy):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 0):
                m.d.sync += [left.eq(self.divisor - 1), at.eq(at + 1), bits.eq(Cat(bits[1:], line))]
                with m.If((at == 0) & line):
                    # too short for a start bit
                    m.d.sync += busy.eq(0)
                with m.If(at == 9):
                    # the bits stay as they are: the next byte is long in coming
                    m.d.sync += [busy.eq(0), self.valid.eq(line), self.broken.eq(~line), bits.eq(bits)]
        with m.Elif(~line):
            m.d.sync += [busy.eq(1), at.eq(0), left.eq(self.divisor // 2 - 1)]
        return m


class UartTransmitter(Unit):
    """Puts bytes onto a line.

    Ports
    -----
    bytes : In(stream)
    tx : Out(1)

    Parameters
    ----------
    divisor : int
        Cycles of a bit, at least 4.
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1)})

    @property
    def name(self) -> str:
        return f"uart_transmitter_{self.divisor}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        left, at = Signal(range(self.divisor), name="cycles_left"), Signal(range(11), name="bits_left")
        bits = Signal(9, name="bits", init=0x1FF)
        m.d.comb += self.bytes.ready.eq(at == 0)
        m.d.sync += self.tx.eq(Mux(at == 0, 1, bits[0]))
        with m.If(at == 0), m.If(self.bytes.valid):
            m.d.sync += [bits.eq(Cat(Const(0, 1), self.bytes.payload)), at.eq(10), left.eq(self.divisor - 1)]
        with m.Elif(left == 0):
            m.d.sync += [left.eq(self.divisor - 1), at.eq(at - 1), bits.eq(Cat(bits[1:], Const(1, 1)))]
        with m.Else():
            m.d.sync += left.eq(left - 1)
        return m
