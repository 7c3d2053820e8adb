"""An engine behind a memory bus."""

from collections.abc import Mapping

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Const, Module, ResetSignal, Signal, Value
from amaranth.lib.wiring import Out

from dataflow.accelerator.activations import ACT_TAG_BITS, ActReader, Chunk
from dataflow.accelerator.cache import WeightCache
from dataflow.accelerator.channel import PRODUCT_BITS
from dataflow.accelerator.control import CheckedControl, Control
from dataflow.accelerator.dispatch import Dispatcher
from dataflow.accelerator.region import RegionReader
from dataflow.accelerator.results import ResultWriter
from dataflow.engine.base import Engine
from dataflow.engine.job import SIZE_BITS
from hw.axi.ports import forward, lite_ports, read_ports, write_ports
from hw.axi.read import ReadMaster
from hw.axi.write import WriteMaster
from hw.core.unit import Unit, place
from sw_ref.accelerator.bus import Bus
from sw_ref.accelerator.layout import Layout
from sw_ref.accelerator.registers import ADDRESS_BITS, FAULT_COUNTERS, Register, registers_of

__all__ = ["Accelerator"]

# Bursts that are asked for ahead, of each stream: as many words as block RAMs are used for.
_AHEAD = 8
# Of results that are not answered.
_WRITES = 32
# Of AXI4.
_CHANNELS = ("ar", "r", "aw", "w", "b")
# The domain of what works on products, which is reset when one is given up; the bus never is.
_WORK = "work"


class Accelerator(Unit):
    """Computes products that descriptors in memory ask for, out of memory into memory.

    Ports
    -----
    s_axi_ctrl_* : AXI4-Lite
        Registers, see `sw_ref.accelerator.registers`.
    m_axi_* : AXI4
        Descriptors, operands and results, see `sw_ref.accelerator.layout`.
    irq : Out(1)
        High while an enabled interrupt is pending.

    Parameters
    ----------
    engine : Engine
    bus : Bus
    """

    def __init__(self, *, engine: Engine, bus: Bus) -> None:
        self.engine = engine
        self.bus = bus
        self.layout = Layout(engine=engine.spec, bus=bus, weight_cache=engine.tiling.weight_cache)
        super().__init__(
            {
                **lite_ports("s_axi_ctrl", address_bits=ADDRESS_BITS),
                **read_ports("m_axi", bus),
                **write_ports("m_axi", bus),
                "irq": Out(1),
            }
        )

    @property
    def name(self) -> str:
        return f"{self.engine.name}_accelerator"

    @property
    def readers(self) -> tuple[str, ...]:
        """Streams of the engine that are read from memory."""
        return ("act", "weight", *self.engine.parameter_bits)

    @property
    def registers(self) -> dict[str, Register]:
        """Its registers by name."""
        return registers_of(checked=bool(self.engine.verdict))

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.domains += ClockDomain(_WORK, local=True)
        kind = CheckedControl if self.engine.verdict else Control
        control = place(m, "control", kind(digest=self.layout.digest, address_bits=self.bus.address_bits))
        readers = self._place_readers(m)
        spec = self.layout.engine
        limits = {"n": (1 << SIZE_BITS) - 1, "k": spec.max_k, "group": spec.max_group, "passes": spec.max_passes}
        limits |= {"steps": spec.max_steps, **({"mode": len(spec.modes) - 1} if len(spec.modes) > 1 else {})}
        limits |= {"weight_beats": (1 << 32) - 1} if self.layout.kept_words else {}
        limits |= {"blocks": (1 << SIZE_BITS) - 1} if "row" in self.readers else {}
        limits |= {"results": 1 if spec.drain else spec.max_passes * spec.max_steps}
        dispatcher = Dispatcher(bus=self.bus, streams=self.readers, limits=tuple(sorted(limits.items())))
        place(m, "dispatcher", dispatcher)
        writer = self._place_writer(m, limits["results"])
        engine = place(m, "engine", self.engine, domain=_WORK)
        m.d.comb += [
            ClockSignal(_WORK).eq(ClockSignal()),
            ResetSignal(_WORK).eq(ResetSignal() | dispatcher.clear),
        ]
        read = self._elaborate_reading(m, dispatcher, readers)
        write = self._elaborate_writing(m, writer)
        self._elaborate_streams(m, engine, self._with_cache(m, readers, dispatcher), writer)
        passed = Signal(name="results_passed_on")
        self._elaborate_jobs(m, dispatcher, readers, writer, engine, passed)
        self._elaborate_control(m, control, dispatcher)
        self._elaborate_progress(m, dispatcher, engine, readers, writer, read, write, control, passed)
        return m

    def _place_readers(self, m: Module) -> dict[str, Unit]:
        spec, layout = self.layout.engine, self.layout
        chunk = Chunk(
            bits=layout.act_chunk,
            words=layout.act_words,
            lanes=layout.act_lanes,
            slot=layout.act_slot,
            code=layout.act_code,
        )
        by_row = spec.dataflow == "weight_stationary"
        readers: dict[str, Unit] = {
            "act": ActReader(
                bus=self.bus,
                chunk=chunk,
                banks=1 if by_row else spec.rows,
                turns=spec.panel_rows if by_row else spec.interleave,
                by_row=by_row,
                max_steps=spec.max_steps,
            )
        }
        for name in self.readers[1:]:
            readers[name] = RegionReader(
                bus=self.bus,
                beat=layout.stride(name),
                by_block=name == "row",
                depth=self.bus.burst * _AHEAD,
                kept=layout.kept_words if name == "weight" else 0,
            )
        return {name: place(m, f"{name}_reader", reader, domain=_WORK) for name, reader in readers.items()}

    def _place_writer(self, m: Module, max_results: int) -> Unit:
        spec = self.layout.engine
        writer = ResultWriter(
            bus=self.bus,
            cols=spec.cols,
            panel_rows=spec.panel_rows,
            result_bits=spec.result_bits,
            slot=self.layout.result_slot,
            max_results=max_results,
        )
        return place(m, "result_writer", writer, domain=_WORK)

    def _elaborate_reading(self, m: Module, dispatcher: Unit, readers: Mapping[str, Unit]) -> Unit:
        """One master reads for the dispatcher and all readers."""
        clients = [dispatcher, *readers.values()]
        tag_bits = max(ACT_TAG_BITS, self.bus.low_bits + PRODUCT_BITS)
        master = place(m, "read_master", ReadMaster(channels=len(clients), tag_bits=tag_bits, bus=self.bus))
        forward(m, self, master, "m_axi")
        m.d.comb += [
            master.request.eq(Cat(client.request for client in clients)),
            master.address.eq(Cat(client.address for client in clients)),
            master.words.eq(Cat(client.words for client in clients)),
            master.tag.eq(Cat(Cat(client.tag, Const(0, tag_bits - len(client.tag))) for client in clients)),
            master.stop.eq(dispatcher.stop),
        ]
        for index, client in enumerate(clients):
            m.d.comb += [
                client.granted.eq(master.granted[index]),
                client.valid.eq(master.valid[index]),
                client.data.eq(master.data),
                client.last.eq(master.last),
                client.error.eq(master.error),
                client.data_tag.eq(master.data_tag[: len(client.data_tag)]),
            ]
        return master

    def _elaborate_writing(self, m: Module, writer: Unit) -> Unit:
        master = place(m, "write_master", WriteMaster(bus=self.bus, outstanding=_WRITES))
        forward(m, self, master, "m_axi")
        for name in ("burst_valid", "address", "words", "word_valid", "data", "strobe", "last"):
            m.d.comb += getattr(master, name).eq(getattr(writer, name))
        m.d.comb += [writer.burst_ready.eq(master.burst_ready), writer.word_ready.eq(master.word_ready)]
        return master

    def _with_cache(self, m: Module, readers: Mapping[str, Unit], dispatcher: Unit) -> dict[str, Unit]:
        """What gives the engine its operands: the readers, and the cache of weights, if there is one."""
        sources, layout = dict(readers), self.layout
        if layout.kept_words:
            beat, rows = layout.stride("weight"), layout.engine.panel_rows
            unit = WeightCache(beat=beat, depth=layout.kept_beats, panel_rows=rows)
            cache, reader = place(m, "weight_cache", unit, domain=_WORK), readers["weight"]
            m.d.comb += [
                cache.start.eq(dispatcher.started[-1]),
                cache.m.eq(dispatcher.m),
                cache.count.eq(dispatcher.weight_beats),
                cache.given.payload.eq(reader.beats.payload),
                cache.given.valid.eq(reader.beats.valid),
                reader.beats.ready.eq(cache.given.ready),
            ]
            sources["weight"] = cache
        return sources

    def _elaborate_streams(self, m: Module, engine: Unit, sources: Mapping[str, Unit], writer: Unit) -> None:
        """Between memory and the engine."""
        for name, source in sources.items():
            port = getattr(engine, name)
            m.d.comb += [
                port.payload.eq(source.beats.payload[: len(port.payload)]),
                port.valid.eq(source.beats.valid),
                source.beats.ready.eq(port.ready),
            ]
        m.d.comb += [
            writer.beats.payload.eq(engine.result.payload.values),
            writer.beats.valid.eq(engine.result.valid),
            engine.result.ready.eq(writer.beats.ready),
        ]

    def _elaborate_jobs(
        self,
        m: Module,
        dispatcher: Unit,
        readers: Mapping[str, Unit],
        writer: Unit,
        engine: Unit,
        passed: Value,
    ) -> None:
        """What a product is, to each that works on it."""
        m.d.comb += [part.start.eq(dispatcher.started[at]) for at, part in enumerate([*readers.values(), writer])]
        # one product's results are in memory before the next one's are written
        ready = Cat(*(reader.ready for reader in readers.values()), writer.ready & ~passed, engine.command.ready)
        m.d.comb += dispatcher.part_ready.eq(ready)
        current = Signal(PRODUCT_BITS, name="current_product")
        with m.If(dispatcher.started[-1]):
            m.d.sync += current.eq(dispatcher.product)
        for name, reader in readers.items():
            m.d.comb += [
                reader.product.eq(dispatcher.product),
                reader.current.eq(current),
                reader.retiring.eq(dispatcher.tail[:PRODUCT_BITS]),
            ]
            told = {"act": ("stride",), "row": ("in_front", "bytes", "last_bytes")}.get(name, ("in_front", "last_byte"))
            m.d.comb += [getattr(reader, what).eq(getattr(dispatcher, f"{name}_{what}")) for what in told]
            same = {"act": ("m", "steps"), "row": ("panels", "blocks")}.get(name, ("panels",))
            m.d.comb += [getattr(reader, what).eq(getattr(dispatcher, what)) for what in same]
        m.d.comb += readers["act"].base.eq(dispatcher.act)
        m.d.comb += [
            writer.base.eq(dispatcher.result),
            writer.stride.eq(dispatcher.result_stride),
            writer.plane.eq(dispatcher.result_plane),
            writer.m.eq(dispatcher.m),
            writer.n.eq(dispatcher.n),
            writer.results.eq(dispatcher.results),
            engine.command.valid.eq(dispatcher.started[-1]),
            *(engine.command.payload[name].eq(getattr(dispatcher, name)) for name, _field in self.engine.job),
        ]

    def _elaborate_control(self, m: Module, control: Unit, dispatcher: Unit) -> None:
        forward(m, self, control, "s_axi_ctrl", inner_prefix="s_axi")
        m.d.comb += [
            dispatcher.enable.eq(control.enable),
            dispatcher.reset.eq(control.reset),
            dispatcher.resume.eq(control.resume),
            dispatcher.queue_base.eq(control.queue_base[-len(dispatcher.queue_base) :]),
            dispatcher.queue_size.eq(control.queue_size),
            dispatcher.queue_head.eq(control.queue_head),
            dispatcher.digest.eq(self.layout.digest),
            control.busy.eq((dispatcher.in_flight != 0) | (dispatcher.tail != control.queue_head)),
            control.halted.eq(dispatcher.halted),
            control.tail.eq(dispatcher.tail),
            control.cause.eq(dispatcher.cause),
            control.interrupt_done.eq(dispatcher.interrupt),
            control.interrupt_error.eq(dispatcher.failed_now),
            self.irq.eq(control.interrupt),
        ]

    def _elaborate_progress(
        self,
        m: Module,
        dispatcher: Unit,
        engine: Unit,
        readers: Mapping[str, Unit],
        writer: Unit,
        read: Unit,
        write: Unit,
        control: Unit,
        passed: Signal,
    ) -> None:
        """Whether products are done, or cannot be, and what is counted."""
        with m.If(writer.done):
            m.d.sync += passed.eq(1)
        with m.If(dispatcher.retired | dispatcher.clear):
            m.d.sync += passed.eq(0)
        moves = [getattr(engine, name).valid & getattr(engine, name).ready for name in (*readers, "result")]
        moves += [getattr(self, f"m_axi_{name}valid") & getattr(self, f"m_axi_{name}ready") for name in _CHANNELS]
        working = dispatcher.in_flight != 0
        stalls = {
            f"stall_{name}": getattr(engine, name).ready & ~getattr(engine, name).valid & working for name in readers
        }
        counts: dict[str, Value] = {
            "cycles": working,
            **stalls,
            "stall_result": engine.result.valid & ~engine.result.ready & working,
            "words_read": self.m_axi_rvalid,
            "words_written": self.m_axi_wvalid & self.m_axi_wready,
            "products": dispatcher.done,
            "errors": dispatcher.failed_now,
        }
        if engine.verdict:
            # `fault` and, if there is one, `corrected`
            counts |= {
                name: getattr(engine, flag) for name, flag in zip(FAULT_COUNTERS, engine.verdict.flags, strict=False)
            }
        m.d.comb += [
            # the last answer may say that a result could not be written, and what is given up is never done
            dispatcher.retired.eq(
                passed
                & write.idle
                & ~(write.failed | dispatcher.stop)
                & Cat(reader.past for reader in readers.values()).all()
            ),
            dispatcher.read_failed.eq(Cat(reader.failed for reader in readers.values())),
            dispatcher.write_failed.eq(write.failed),
            dispatcher.bus_idle.eq(read.idle & write.idle & writer.quiet),
            dispatcher.active.eq(Cat(moves).any()),
            writer.stop.eq(dispatcher.stop),
            control.count.eq(Cat(counts.get(name, Const(0, 1)) for name in control.counters)),
        ]
