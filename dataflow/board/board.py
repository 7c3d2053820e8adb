"""An accelerator with a memory of its own and a serial line."""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib.wiring import In, Out

from dataflow.accelerator.accelerator import Accelerator
from dataflow.engine.base import Engine
from hw.axi.lite_master import LiteMaster
from hw.axi.memory import AxiMemory
from hw.core.unit import Unit, place
from hw.serial.bridge import SerialBridge
from hw.serial.uart import UartReceiver, UartTransmitter
from sw_ref.accelerator.bus import Bus
from sw_ref.accelerator.registers import ADDRESS_BITS

__all__ = ["BoardTop"]


class BoardTop(Unit):
    """An accelerator that a host reaches over a serial line, see `sw_ref.accelerator.serial`.

    Ports
    -----
    rx : In(1), tx : Out(1)
        The line.
    led : Out(2)
        There is a request of the host's; an interrupt is pending.

    Parameters
    ----------
    engine : Engine
    bus : Bus
    memory_bytes : int
        Memory of descriptors, operands and results, from address 0 on; a power of two.
    divisor : int
        Cycles of a bit on the line.
    most : int
        Words of data in a frame, at most.
    clock_hz : int
        What the host is told of the clock.
    """

    def __init__(self, *, engine: Engine, bus: Bus, memory_bytes: int, divisor: int, most: int, clock_hz: int) -> None:
        self.engine = engine
        self.bus = bus
        self.memory_bytes = memory_bytes
        self.divisor = divisor
        self.most = most
        self.clock_hz = clock_hz
        self.accelerator = Accelerator(engine=engine, bus=bus)
        self.layout = self.accelerator.layout
        super().__init__({"rx": In(1), "tx": Out(1, init=1), "led": Out(2)})

    @property
    def name(self) -> str:
        return f"{self.engine.name}_board"

    def circuit(self, platform: object) -> Module:
        m = Module()
        accelerator = place(m, "accelerator", self.accelerator)
        memory = place(m, "memory", AxiMemory(bus=self.bus, size=self.memory_bytes))
        registers = place(m, "registers", LiteMaster(address_bits=ADDRESS_BITS))
        receiver = place(m, "receiver", UartReceiver(divisor=self.divisor))
        transmitter = place(m, "transmitter", UartTransmitter(divisor=self.divisor))
        bridge = place(
            m, "bridge", SerialBridge(most=self.most, memory_bytes=self.memory_bytes, clock_hz=self.clock_hz)
        )
        _connect(m, accelerator, "m_axi", memory, "s_axi")
        _connect(m, registers, "m_axi", accelerator, "s_axi_ctrl")
        m.d.comb += [
            receiver.rx.eq(self.rx),
            *(getattr(bridge, name).eq(getattr(receiver, name)) for name in ("byte", "valid", "broken")),
            transmitter.bytes.payload.eq(bridge.bytes.payload),
            transmitter.bytes.valid.eq(bridge.bytes.valid),
            bridge.bytes.ready.eq(transmitter.bytes.ready),
            self.tx.eq(transmitter.tx),
            self.led.eq(Cat(bridge.active, accelerator.irq)),
        ]
        # offsets beyond the registers wrap around in none of them
        beyond = bridge.address[ADDRESS_BITS:].any()
        for target, chosen in ((memory, ~bridge.register), (registers, bridge.register & ~beyond)):
            m.d.comb += [
                target.request.eq(bridge.request & chosen),
                target.write.eq(bridge.write),
                target.address.eq(bridge.address[: len(target.address)]),
                target.data.eq(bridge.data),
            ]
        m.d.comb += [
            bridge.done.eq(memory.done | registers.done | (bridge.request & bridge.register & beyond)),
            bridge.result.eq(Mux(bridge.register, registers.result, memory.result)),
            bridge.failed.eq(Mux(bridge.register, registers.failed | beyond, memory.failed)),
        ]
        return m


def _connect(m: Module, master: Unit, master_prefix: str, slave: Unit, slave_prefix: str) -> None:
    """Join the channels of a master with those of a slave, whose ports are called alike behind a prefix."""
    for port, (value, flow) in slave.ports().items():
        if port.startswith(f"{slave_prefix}_"):
            other = getattr(master, port.replace(slave_prefix, master_prefix, 1))
            m.d.comb += value.eq(other) if flow == In else other.eq(value)
