"""The registers of an accelerator."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from dataflow.accelerator.dispatch import INDEX_BITS
from hw.axi.lite import LiteSlave
from hw.axi.ports import forward, lite_ports
from hw.core.counters import Counters
from hw.core.select import pick
from hw.core.unit import Unit, place
from sw_ref.accelerator.registers import (
    ADDRESS_BITS,
    COUNTERS,
    FAULT_COUNTERS,
    ID,
    REGISTERS,
    VERSION,
    registers_of,
)

__all__ = ["CheckedControl", "Control"]


class Control(Unit):
    """Registers behind AXI4-Lite, see `sw_ref.accelerator.registers`.

    Ports
    -----
    s_axi_* : AXI4-Lite
    enable, reset, resume : Out(1), queue_base : Out, queue_size : Out(4), queue_head : Out(16)
        What they say; ``reset`` and ``resume`` for a cycle.
    busy, halted : In(1), tail : In(16), cause : In(8)
    interrupt_done, interrupt_error : In(1)
        For a cycle.
    interrupt : Out(1)
    count : In
        For each counter, whether it counts this cycle.

    Parameters
    ----------
    digest, address_bits : int
        Of addresses no other bits are kept.
    """

    counters: tuple[str, ...] = COUNTERS
    """Registers that count, in the order of their offsets."""

    def __init__(self, *, digest: int, address_bits: int) -> None:
        self.digest = digest
        self.address_bits = address_bits
        super().__init__(
            {
                **lite_ports("s_axi", address_bits=ADDRESS_BITS),
                **{name: Out(1) for name in ("enable", "reset", "resume")},
                "queue_base": Out(address_bits),
                "queue_size": Out(4),
                "queue_head": Out(INDEX_BITS),
                **{name: In(1) for name in ("busy", "halted", "interrupt_done", "interrupt_error")},
                "tail": In(INDEX_BITS),
                "cause": In(8),
                "interrupt": Out(1),
                "count": In(len(self.counters)),
            }
        )

    @property
    def name(self) -> str:
        return "register_file"

    def circuit(self, platform: object) -> Module:
        m = Module()
        slave = place(m, "bus", LiteSlave(address_bits=ADDRESS_BITS))
        forward(m, self, slave, "s_axi")
        enabled, pending = Signal(2, name="interrupt_enabled"), Signal(2, name="interrupt_pending")
        counters = place(m, "counters", Counters(count=len(self.counters), bits=32))
        values: dict[str, Value] = {
            "id": Const(ID, 32),
            "version": Const(VERSION, 32),
            "digest": Const(self.digest, 32),
            "control": self.enable,
            "status": Cat(self.busy, self.halted),
            "queue_base_low": self.queue_base[:32],
            "queue_base_high": self.queue_base[32:],
            "queue_size": self.queue_size,
            "queue_head": self.queue_head,
            "queue_tail": self.tail,
            "error_cause": self.cause,
            "error_index": self.tail,
            "interrupt_enable": enabled,
            "interrupt_status": pending,
        }
        written = self._elaborate_writes(m, slave, counters.clear)
        self._elaborate_reads(m, slave, values, counters)
        m.d.comb += counters.events.eq(self.count)
        happened = Cat(self.interrupt_done, self.interrupt_error)
        m.d.sync += pending.eq(pending & ~Mux(written["interrupt_status"], slave.write_data[:2], 0) | happened)
        m.d.comb += self.interrupt.eq((pending & enabled).any())
        with m.If(written["interrupt_enable"]):
            m.d.sync += enabled.eq(slave.write_data)
        return m

    def _elaborate_reads(self, m: Module, slave: LiteSlave, values: dict[str, Value], counters: Counters) -> None:
        """What stands at an address: a register, or a counter when it has its turn."""
        first = REGISTERS[self.counters[0]].offset // 4
        places: list[Value] = [Const(0, 32)] * first
        known = [False] * (1 << len(slave.read_address))
        for name, register in registers_of(checked=self.counters != COUNTERS).items():
            known[register.offset // 4] = True
            if name in values:
                places[register.offset // 4] = values[name]
        low = first.bit_length() - 1
        counts = slave.read_address >= first
        m.d.comb += [
            counters.read.eq(slave.read_address - first),
            slave.read_data.eq(Mux(counts, counters.value, pick(slave.read_address[:low], places))),
            slave.read_ready.eq(~counts | counters.valid | ~slave.read_known),
            slave.read_known.eq(pick(slave.read_address, known)),
            slave.write_known.eq(pick(slave.write_address, known)),
        ]

    def _elaborate_writes(self, m: Module, slave: LiteSlave, clears: Signal) -> dict[str, Signal]:
        """Take what is written; return which register is, and tell whether counters are to be cleared."""
        written = {name: Signal(name=f"writes_{name}") for name, one in REGISTERS.items() if one.access != "r"}
        for name, signal in written.items():
            here = slave.write_address == REGISTERS[name].offset // 4
            m.d.comb += signal.eq(slave.write & slave.write_strobe.all() & here)
        data = slave.write_data
        with m.If(written["control"]):
            m.d.comb += [self.reset.eq(data[1]), clears.eq(data[2])]
            m.d.sync += self.enable.eq(data[0])
        m.d.comb += self.resume.eq(written["status"] & data[1])
        for name, target in (
            ("queue_base_low", self.queue_base[:32]),
            ("queue_base_high", self.queue_base[32:]),
            ("queue_size", self.queue_size),
            ("queue_head", self.queue_head),
        ):
            with m.If(written[name]):
                m.d.sync += target.eq(data)
        with m.If(self.reset):
            m.d.sync += [self.enable.eq(0), self.queue_head.eq(0)]
        return written


class CheckedControl(Control):
    """`Control` of an accelerator whose array has check columns: it counts faults too."""

    counters = (*COUNTERS, *FAULT_COUNTERS)
