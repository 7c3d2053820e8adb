"""Delay lines: of one signal, and of many lanes that are skewed against each other."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.core.ram import RAM_LATENCY, Ram
from hw.core.registers import delayed
from hw.core.unit import Unit, place

__all__ = ["Line", "LongLine", "Skew", "late"]

# Cycles between two lanes of a skew from which on each has lines of its own, all of one kind, which is mapped once.
_LONG = 5
# Registers of a skew from which on they would crowd a device out, and cycles for which a memory takes their place.
_MANY, _FAR = 6000, 8


class Line(Unit):
    """``late`` is ``early`` as it was ``cycles`` cycles ago, through any reset.

    Parameters
    ----------
    width, cycles : int
    """

    def __init__(self, *, width: int, cycles: int) -> None:
        self.cycles = cycles
        super().__init__({"early": In(width), "late": Out(width)})

    @property
    def name(self) -> str:
        return f"line_{len(self.early)}_by_{self.cycles}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.late.eq(delayed(m, self.early, self.cycles, name="rank"))
        return m


class LongLine(Unit):
    """``late`` is ``early`` as it was ``cycles`` cycles ago, out of a memory that goes round.

    What comes in before a reset, and in it, is lost: then ``late`` is unknown for as many cycles.

    Parameters
    ----------
    width, cycles : int
        ``cycles`` is at least 4.
    """

    def __init__(self, *, width: int, cycles: int) -> None:
        self.cycles = cycles
        super().__init__({"early": In(width), "late": Out(width)})

    @property
    def name(self) -> str:
        return f"long_line_{len(self.early)}_by_{self.cycles}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        # from a word's being written to its address being given again
        between = self.cycles - RAM_LATENCY
        depth = 1 << between.bit_length()
        words = place(m, "memory", Ram(width=len(self.early), depth=depth))
        write = Signal(range(depth), name="write_place")
        read = Signal(range(depth), name="read_place", init=depth - between)
        m.d.sync += [write.eq(write + 1), read.eq(read + 1)]
        m.d.comb += [
            words.write.eq(1),
            words.write_address.eq(write),
            words.write_data.eq(self.early),
            words.read_address.eq(read),
            self.late.eq(words.read_data),
        ]
        return m


class Skew(Unit):
    """Delays each lane of a vector by a number of cycles of its own.

    Lane ``i`` of ``late`` is lane ``i`` of ``early`` as it was ``delays[i]`` cycles ago. Not reset: what travels here
    is data, whose meaning comes with it. Where there are many long delays, what came before a reset is lost.

    Parameters
    ----------
    width : int
        Bits of a lane.
    delays : tuple of int
        Cycles for each lane, lane 0 in the low bits.
    """

    def __init__(self, *, width: int, delays: tuple[int, ...]) -> None:
        if not delays or min(delays) < 0:
            raise ValueError(f"Delays must be one or more counts of cycles, not {delays!r}")
        self.width = width
        self.delays = delays
        super().__init__({"early": In(width * len(delays)), "late": Out(width * len(delays))})

    @property
    def name(self) -> str:
        kind = "skew" if self.delays[-1] == max(self.delays) else "deskew"
        return f"{kind}_{len(self.delays)}x{self.width}_by_{max(self.delays)}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        rank, delays = self.early, self.delays
        if self.width * sum(delays) > _MANY:
            rank, delays = self._through_memories(m), tuple(delay % _FAR for delay in delays)
        late, members, now = dict[int, Value](), list(range(len(delays))), 0
        for stage in sorted({0, *delays}):
            onward = [lane for lane in members if delays[lane] >= stage]
            if stage > now:
                rank = self._later(m, self._words(rank, [members.index(lane) for lane in onward]), now, stage)
            now, members = stage, onward
            arrived = [lane for lane in members if delays[lane] == stage]
            late.update({lane: rank.word_select(members.index(lane), self.width) for lane in arrived})
        m.d.comb += self.late.eq(Cat(late[lane] for lane in range(len(delays))))
        return m

    def _through_memories(self, m: Module) -> Value:
        """All lanes, as late as memories make them: one behind the other, all of one kind."""
        late = []
        for lane, delay in enumerate(self.delays):
            word = self.early.word_select(lane, self.width)
            for part in range(delay // _FAR):
                line = place(m, f"line_{lane}_{part}", LongLine(width=self.width, cycles=_FAR))
                m.d.comb += line.early.eq(word)
                word = line.late
            late.append(word)
        return Cat(late)

    def _later(self, m: Module, rank: Value, now: int, stage: int) -> Value:
        """The lanes that go on, as many cycles later as lie between two stages."""
        if stage - now < _LONG:
            # one register a stage for all of them
            for each in range(now, stage):
                following = Signal(len(rank), name=f"rank_{each + 1}", reset_less=True)
                m.d.sync += following.eq(rank)
                rank = following
            return rank
        lines = []
        for index in range(len(rank) // self.width):
            line = place(m, f"line_{stage}_{index}", Line(width=self.width, cycles=stage - now))
            m.d.comb += line.early.eq(rank.word_select(index, self.width))
            lines.append(line.late)
        return Cat(lines)

    def _words(self, rank: Value, places: list[int]) -> Value:
        """Some words of ``rank``, neighbours as one slice."""
        starts = [place for place in places if place - 1 not in places]
        stops = [place + 1 for place in places if place + 1 not in places]
        return Cat(rank[start * self.width : stop * self.width] for start, stop in zip(starts, stops, strict=True))


def late(m: Module, value: Value, cycles: int, *, name: str) -> Value:
    """``value`` as it was ``cycles`` cycles ago, in registers, or if it is many cycles in a memory, see `LongLine`."""
    if cycles < _FAR:
        return delayed(m, value, cycles, name=name)
    line = place(m, f"{name}_line", LongLine(width=len(value), cycles=cycles))
    m.d.comb += line.early.eq(value)
    return line.late
