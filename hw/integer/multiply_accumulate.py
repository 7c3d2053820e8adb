"""A multiplier with its accumulator behind it, as DSP blocks have them."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hw.core.registers import delayed
from hw.core.stages import check_pipeline
from hw.core.unit import Unit, place

__all__ = ["MOST_REGISTERS", "AddAgain", "MultiplyAccumulate"]

MOST_REGISTERS = 2
"""Register stages that a DSP block has in front of its accumulator."""


class MultiplyAccumulate(Unit):
    """``p = (p if again else 0) + a * b`` in each cycle with ``enable`` high, modulo ``2**p_bits``.

    It is written as a product and a register, for any tool. A family whose DSP blocks hold all of it has a module of
    this name that instantiates one, see `fpga.families.Family.files`.

    Ports
    -----
    a, b : In(signed), p : Out(signed)
        ``p`` takes in operands after ``registers + 1`` cycles.
    enable, again : In(1)
        Belong to the operands of ``registers`` cycles ago.

    Parameters
    ----------
    a_bits, b_bits, p_bits : int
        Widths, all of two's complement.
    registers : int
        Stages in front of the accumulator, at most `MOST_REGISTERS`: the first behind the product, the second in front
        of it.
    """

    def __init__(self, *, a_bits: int, b_bits: int, p_bits: int, registers: int) -> None:
        check_pipeline(registers)
        if registers > MOST_REGISTERS:
            raise ValueError(f"Registers must be from 0 to {MOST_REGISTERS}, not {registers!r}")
        self.registers = registers
        super().__init__(
            {
                "a": In(signed(a_bits)),
                "b": In(signed(b_bits)),
                "enable": In(1),
                "again": In(1),
                "p": Out(signed(p_bits)),
            }
        )

    @property
    def name(self) -> str:
        return f"multiply_accumulate_{len(self.a)}x{len(self.b)}_{len(self.p)}_r{self.registers}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        a, b = (delayed(m, port, self.registers // 2, name=name) for name, port in (("a", self.a), ("b", self.b)))
        # on a wire of its own, lest the product be made as wide as the sum
        product = Signal(signed(len(a) + len(b)), name="product")
        m.d.comb += product.eq(a * b)
        product = delayed(m, product, min(self.registers, 1), name="product")
        add = place(m, "add", AddAgain(term_bits=len(product), p_bits=len(self.p)))
        m.d.comb += [
            add.term.eq(product),
            add.enable.eq(self.enable),
            add.again.eq(self.again),
            self.p.eq(add.p),
        ]
        return m


class AddAgain(Unit):
    """``p = (p if again else 0) + term`` in each cycle with ``enable`` high, modulo ``2**p_bits``.

    It is a module of its own, without the multiplier: gates move into its carry cells, see `fpga.map.absorb`, and this
    can be proven.

    Parameters
    ----------
    term_bits, p_bits : int
        Widths, both of two's complement.
    """

    def __init__(self, *, term_bits: int, p_bits: int) -> None:
        super().__init__(
            {"term": In(signed(term_bits)), "enable": In(1), "again": In(1), "p": Out(signed(p_bits))},
        )

    @property
    def name(self) -> str:
        return f"add_again_{len(self.term)}_{len(self.p)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        total = Signal(self.p.shape(), reset_less=True)
        kept = Signal(self.p.shape())
        m.d.comb += [kept.eq(Mux(self.again, total, 0)), self.p.eq(total)]
        with m.If(self.enable):
            m.d.sync += total.eq((kept + self.term)[: len(self.p)].as_signed())
        return m
