"""Fetches descriptors, checks them, and starts and retires products."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from dataflow.accelerator.channel import PRODUCT_BITS, client_ports
from dataflow.accelerator.records import Fields, outside, word_address
from dataflow.engine.job import SIZE_BITS
from hw.core.unit import Unit
from sw_ref.accelerator.bus import DESCRIPTOR_BYTES, Bus
from sw_ref.accelerator.descriptor import DESCRIPTOR, HEAD, INTERRUPT, PRODUCT, WAIT
from sw_ref.accelerator.registers import Cause

__all__ = ["INDEX_BITS", "Dispatcher"]

INDEX_BITS = 16
"""Width of the number of a descriptor."""

# Of the address of a byte in a record.
_RECORD_BITS = (DESCRIPTOR_BYTES - 1).bit_length()
# Cycles in which nothing moves, neither on the bus, after which something is waited for that never comes.
_PATIENCE_BITS = 14
# Cycles less one in which addresses come out of the head, one after the other.
_SETTLING = 3

_CAUSES = {
    "act": Cause.READ_ACT,
    "weight": Cause.READ_WEIGHT,
    "column": Cause.READ_COLUMN,
    "row": Cause.READ_ROW,
    "output": Cause.READ_OUTPUT,
}


class Dispatcher(Unit):
    """Takes descriptors from a ring in memory, one product after the other; one is started ahead of the one that ends.

    Ports
    -----
    enable : In(1), queue_base : In (in descriptors), queue_size : In(4), queue_head : In(16), digest : In(32)
        Of the registers.
    resume, reset : In(1)
        After an error, go on with the next; give up everything.
    tail : Out(16), in_flight : Out(2), halted : Out(1), cause : Out(8)
        Products that are done; that are started and not done; an error, and which.
    done, interrupt, failed : Out(1)
        For a cycle: a product is done; and has the flag; one was given up.
    stop, clear : Out(1), bus_idle : In(1)
        Ask nothing more of the bus; reset what works on products; everything asked for has come.
    started : Out(parts), part_ready : In(parts)
        Of each reader, of the writer of results, and of the engine.
    product : Out(2)
        Low bits of the number of the product that starts.
    retired : In(1)
        All results of a product are in memory.
    read_failed : In(2 * streams), write_failed : In(1)
        What readers call ``failed``, of each; a result could not be written.
    active : In(1)
        Something moves.
    act, result : Out
        Addresses of words.
    weight_in_front, weight_last_byte : Out, and of columns and outputs; row_in_front : Out
        As `dataflow.accelerator.region.RegionReader` takes them.
    act_stride, result_stride, result_plane : Out
        In words.
    and the other fields of `sw_ref.accelerator.descriptor`, and `dataflow.accelerator.channel.client_ports`.

    Parameters
    ----------
    bus : Bus
    streams : tuple of str
        What is read: activations, weights and parameters.
    limits : tuple of (str, int)
        Largest values of fields of the head.
    """

    def __init__(self, *, bus: Bus, streams: tuple[str, ...], limits: tuple[tuple[str, int], ...]) -> None:
        self.bus = bus
        self.streams = streams
        self.limits = limits
        word = bus.word_address_bits
        outputs = dict.fromkeys(("act", "result", "act_stride", "result_stride", "result_plane"), word)
        outputs |= {f"{name}_in_front": word for name in self._parts}
        outputs |= {f"{name}_last_byte": bus.address_bits for name in self._parts}
        outputs |= {"row_in_front": word, "row_bytes": 32, "row_last_bytes": 32} if self._takes_rows else {}
        outputs |= {"m": SIZE_BITS, "panels": SIZE_BITS, **{name: most.bit_length() for name, most in limits}}
        parts = len(streams) + 2
        super().__init__(
            {
                "enable": In(1),
                "queue_base": In(bus.address_bits - _RECORD_BITS),
                "queue_size": In(4),
                "queue_head": In(INDEX_BITS),
                "digest": In(32),
                "resume": In(1),
                "reset": In(1),
                "tail": Out(INDEX_BITS),
                "in_flight": Out(2),
                "halted": Out(1),
                "cause": Out(8),
                **{name: Out(1) for name in ("done", "interrupt", "failed_now", "stop", "clear")},
                "product": Out(PRODUCT_BITS),
                "bus_idle": In(1),
                "started": Out(parts),
                "part_ready": In(parts),
                "retired": In(1),
                "read_failed": In(2 * len(streams)),
                "write_failed": In(1),
                "active": In(1),
                **{name: Out(bits) for name, bits in outputs.items()},
                **client_ports(bus, 1),
            }
        )

    @property
    def name(self) -> str:
        return f"dispatcher_{self.bus.data_bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        descriptor = Fields(bus=self.bus, record=DESCRIPTOR, name="descriptor")
        head = Fields(bus=self.bus, record=HEAD, name="head")
        self._elaborate_outputs(m, descriptor, head)
        fetch, begun = _Fetch(bus=self.bus), Signal(name="product_started")
        m.d.comb += [
            self.request.eq(fetch.some),
            self.address.eq(fetch.address),
            self.words.eq(fetch.burst - 1),
            self.product.eq(fetch.index[:PRODUCT_BITS]),
        ]
        with m.If(self.granted):
            fetch.step(m)
        with m.If(self.valid):
            m.d.sync += [fetch.got.eq(fetch.got + 1), fetch.broken.eq(fetch.broken | self.error)]
        self._elaborate_retirement(m, begun, (descriptor.flags & INTERRUPT).any())
        self._elaborate_states(m, fetch, descriptor, head, begun)
        return m

    @property
    def _takes_rows(self) -> bool:
        """Whether there are parameters of rows."""
        return "row" in self.streams

    @property
    def _addresses(self) -> tuple[str, ...]:
        """Fields of a descriptor that are addresses."""
        return ("image", "act", *(("row",) if self._takes_rows else ()), "result")

    @property
    def _parts(self) -> tuple[str, ...]:
        """Parts of an image, in their order."""
        return tuple(name for name in ("weight", "column", "output") if name in self.streams)

    def _elaborate_outputs(self, m: Module, descriptor: Fields, head: Fields) -> None:
        """What the parts are told: fields as they are, addresses and distances in words."""
        low, words = (
            self.bus.low_bits,
            {name: word_address(self.bus, getattr(descriptor, name)) for name in self._addresses},
        )
        m.d.comb += [getattr(self, name).eq(words[name]) for name in ("act", "result")]
        for name in ("act_stride", "result_stride", "result_plane"):
            m.d.comb += getattr(self, name).eq(getattr(descriptor, name)[low:])
        for name in ("m", "panels"):
            m.d.comb += getattr(self, name).eq(getattr(descriptor, name))
        for name in dict(self.limits):
            m.d.comb += getattr(self, name).eq(getattr(head, name))
        # each from a whole word on, behind the head and the part before; there is time while the head is checked
        before: Value = words["image"] | (DESCRIPTOR_BYTES // self.bus.word_bytes - 1)
        for name in self._parts:
            end, byte_before = getattr(self, f"{name}_last_byte"), Cat(Const(-1, low), before)
            m.d.comb += getattr(self, f"{name}_in_front").eq(before)
            m.d.sync += end.eq(byte_before + getattr(head, f"{name}_bytes"))
            before = end[low:]
        if self._takes_rows:
            m.d.sync += self.row_in_front.eq(words["row"] - 1)
            m.d.comb += [self.row_bytes.eq(head.row_bytes), self.row_last_bytes.eq(descriptor.row_last_bytes)]

    def _elaborate_retirement(self, m: Module, begun: Signal, flag: Value) -> None:
        """Count the products in flight, and keep the flag of each."""
        flags = Signal(2, name="interrupt_flags")
        m.d.comb += [
            self.done.eq(self.retired),
            self.interrupt.eq(self.retired & Mux(self.tail[0], flags[1], flags[0])),
        ]
        with m.If(begun):
            m.d.sync += flags.bit_select(self.product[0], 1).eq(flag)
        m.d.sync += self.in_flight.eq(self.in_flight + begun - self.retired)
        with m.If(self.retired):
            m.d.sync += self.tail.eq(self.tail + 1)

    def _elaborate_failure(self, m: Module, pending: Value, number: Value) -> tuple[Value, Value]:
        """Why the product that is to be done next cannot be, or 0; and whether nothing has moved for too long."""
        waited, unfinished = Signal(_PATIENCE_BITS, name="waited"), Signal(name="unfinished")
        given = self.enable & (self.queue_head != self.tail)
        # also of one that cannot be started, and where the numbers of products have been upset
        m.d.comb += unfinished.eq((self.in_flight != 0) | pending.any() | (number != self.tail) | given | self.stop)
        m.d.sync += waited.eq(Mux(unfinished & ~self.active & ~self.halted, waited + 1, 0))
        why = Signal(8, name="failure")
        with m.If(waited.all()):
            m.d.comb += why.eq(Mux(self.bus_idle, Cause.LENGTH, Cause.BUS))
        with m.If(self.in_flight != 0):
            with m.If(self.write_failed):
                m.d.comb += why.eq(Cause.WRITE_RESULT)
            for index, name in enumerate(self.streams):
                even, odd = self.read_failed.word_select(index, 2)
                with m.If(Mux(self.tail[0], odd, even)):
                    m.d.comb += why.eq(_CAUSES[name])
        return why, waited.all()

    def _elaborate_states(self, m: Module, fetch: "_Fetch", descriptor: Fields, head: Fields, begun: Signal) -> None:
        """Fetch, check and start one product after the other."""
        pending, why = Signal(len(self.started), name="pending"), Signal(8, name="why")
        failure, stands_still = self._elaborate_failure(m, pending, fetch.index)
        abort = (failure != 0) | self.reset

        @contextmanager
        def state(name: str) -> Iterator[None]:
            with m.State(name):
                yield
                # which comes before anything else
                with m.If(abort):
                    m.d.sync += why.eq(Mux(self.reset, 0, failure))
                    m.next = "ABORT"

        m.d.comb += self.started.eq(pending & self.part_ready)
        with m.FSM(name="fetch"):
            self._elaborate_records(m, state, fetch, descriptor, head, why)
            with state("SETTLE"):
                m.d.sync += fetch.got.eq(fetch.got - 1)
                with m.If(fetch.got[1:] == 0):
                    m.d.sync += pending.eq(-1)
                    m.next = "START"
            with state("START"):
                m.d.sync += pending.eq(pending & ~self.part_ready)
                with m.If((pending & ~self.part_ready) == 0):
                    m.d.comb += begun.eq(1)
                    m.d.sync += fetch.index.eq(fetch.index + 1)
                    m.next = "IDLE"
            # once those ahead are done
            with state("BAD"), m.If(self.in_flight == 0):
                m.d.sync += self.cause.eq(why)
                m.d.comb += self.failed_now.eq(1)
                m.next = "HALTED"
            with state("HALTED"):
                m.d.comb += self.halted.eq(1)
                with m.If(self.resume):
                    m.d.sync += [fetch.index.eq(self.tail + 1), self.tail.eq(self.tail + 1)]
                    m.next = "IDLE"
            self._elaborate_giving_up(m, fetch, pending, why, stands_still)

    def _elaborate_giving_up(
        self, m: Module, fetch: "_Fetch", pending: Signal, why: Signal, stands_still: Value
    ) -> None:
        """From a product that cannot be done, or a reset, to an idle bus and nothing under way."""
        stuck = Signal(name="stuck")
        with m.State("ABORT"):
            m.d.comb += self.stop.eq(1)
            m.d.sync += pending.eq(0)
            m.d.sync += fetch.some.eq(0)
            # of a product that is being given up, too
            with m.If(self.reset):
                m.d.sync += why.eq(0)
            # what is asked of the bus cannot be taken back: all that is left is to say so
            m.d.comb += self.halted.eq(stuck)
            with m.If(stands_still):
                m.d.comb += self.failed_now.eq(1)
                m.d.sync += [stuck.eq(1), self.cause.eq(Cause.BUS)]
            with m.If(self.bus_idle):
                m.next = "CLEAR"
        with m.State("CLEAR"):
            given_up = (why != 0) & ~self.reset
            m.d.comb += [self.stop.eq(1), self.clear.eq(1), self.failed_now.eq(given_up & ~stuck)]
            m.d.sync += stuck.eq(0)
            m.d.sync += [self.in_flight.eq(0), self.cause.eq(why), fetch.index.eq(self.tail)]
            m.next = "HALTED"
            with m.If(~given_up):
                m.d.sync += [fetch.index.eq(0), self.tail.eq(0)]
                m.next = "IDLE"

    def _elaborate_records(
        self, m: Module, state: "_State", fetch: "_Fetch", descriptor: Fields, head: Fields, why: Signal
    ) -> None:
        """From a descriptor's number to what it and its image's head say."""
        # rings have at most half of all numbers, which tell an overrun
        of_slot = Cat(*(self.queue_size > bit for bit in range(INDEX_BITS - 1)), Const(0, 1))
        queued = Signal(INDEX_BITS, name="queued")
        m.d.comb += queued.eq(self.queue_head - fetch.index)
        with state("IDLE"), m.If(self.enable & (queued != 0)):
            fetch.start(m, self.queue_base + (fetch.index & of_slot))
            m.next = "DESCRIPTOR"
            with m.If(((queued - 1)[:INDEX_BITS] & ~of_slot).any()):
                m.d.sync += why.eq(Cause.OVERRUN)
                m.d.sync += fetch.some.eq(0)
                m.next = "BAD"
        self._elaborate_record(
            m, state, fetch, "DESCRIPTOR", descriptor, self._descriptor_faults(descriptor), why, "WAIT"
        )
        with state("WAIT"), m.If(~(descriptor.flags & WAIT).any() | (self.in_flight == 0)):
            fetch.start(m, descriptor.image[_RECORD_BITS:])
            m.next = "HEAD"
        self._elaborate_record(m, state, fetch, "HEAD", head, self._head_faults(head), why, "SETTLE")

    def _elaborate_record(
        self,
        m: Module,
        state: "_State",
        fetch: "_Fetch",
        name: str,
        fields: Fields,
        faults: Value,
        why: Signal,
        then: str,
    ) -> None:
        """Take a record in, and go on with ``then`` if nothing is wrong with it."""
        with state(name):
            fields.take(m, valid=self.valid, index=fetch.got, data=self.data)
            with m.If(fetch.all_got):
                m.d.sync += why.eq(Mux(fetch.broken, Cause.READ_DESCRIPTOR, faults))
                m.next = f"JUDGE_{name}"
        with state(f"JUDGE_{name}"):
            m.d.sync += fetch.got.eq(_SETTLING)
            m.next = then
            with m.If(why != 0):
                m.next = "BAD"

    def _descriptor_faults(self, given: Fields) -> Value:
        """What is wrong with a descriptor: a cause, or 0."""
        addresses = [getattr(given, name) for name in self._addresses]
        distances = [getattr(given, name) for name in ("act_stride", "result_stride", "result_plane")]
        low = self.bus.low_bits
        unaligned = [given.image[:_RECORD_BITS], *(distance[:low] for distance in distances)]
        misplaced = outside(self.bus, *addresses) | Cat(unaligned).any()
        known = (given.operation == PRODUCT) & ~(given.flags & ~(INTERRUPT | WAIT)).any()
        sizes = ("m", "panels", *(("row_last_bytes",) if self._takes_rows else ()))
        beyond = given.m[SIZE_BITS:].any() | given.panels[SIZE_BITS:].any()
        size = beyond | Cat(getattr(given, name) == 0 for name in sizes).any()
        return Mux(known, Mux(misplaced, Cause.ADDRESS, Mux(size, Cause.SIZE, 0)), Cause.OPERATION)

    def _head_faults(self, given: Fields) -> Value:
        """What is wrong with an image's head: a cause, or 0."""
        wrong = [(getattr(given, name) == 0) & (name != "mode") for name, _most in self.limits]
        wrong += [getattr(given, name) > most for name, most in self.limits]
        wrong += [getattr(given, f"{name}_bytes") == 0 for name in self.streams if name != "act"]
        return Mux(given.digest == self.digest, Mux(Cat(wrong).any(), Cause.SIZE, 0), Cause.IMAGE)


_State = Callable[[str], AbstractContextManager[None]]


class _Fetch:
    """A record that is fetched: its bursts, the words that have come, and whether one could not be read."""

    def __init__(self, *, bus: Bus) -> None:
        self.words = DESCRIPTOR_BYTES // bus.word_bytes
        self.burst = min(bus.burst, self.words)
        self.index = Signal(INDEX_BITS, name="index")
        self.some = Signal(name="fetch_goes_on")
        self.got = Signal(max(2, self.words.bit_length()), name="words_got")
        self.broken = Signal(name="fetch_failed")
        self._record = Signal(bus.address_bits - _RECORD_BITS, name="record")
        self._at = Signal(range(self.words), name="record_word")

    @property
    def address(self) -> Value:
        """Of the next burst's first word."""
        return Cat(self._at, self._record)

    @property
    def all_got(self) -> Value:
        """It is there."""
        return self.got == self.words

    def start(self, m: Module, record: Value) -> None:
        """Begin with the record of this number, counted from address 0 on."""
        m.d.sync += [self._record.eq(record), self._at.eq(0), self.some.eq(1), self.got.eq(0), self.broken.eq(0)]

    def step(self, m: Module) -> None:
        """Go on to the next burst, if there is one."""
        m.d.sync += [self._at.eq(self._at + self.burst), self.some.eq(self._at != self.words - self.burst)]
