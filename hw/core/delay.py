"""Delay lines: of one signal, and of many lanes that are skewed against each other."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit, place

__all__ = ["Line", "Skew", "delayed"]

# Cycles between two lanes of a skew from which on each has lines of its own, all of one kind, which is mapped once.
_LONG = 5


def delayed(module: Module, value: Value, cycles: int, *, name: str, init: int | None = None) -> Value:
    """``value`` as it was ``cycles`` cycles ago.

    Data is not reset (``init`` left out); a control signal starts from ``init`` and returns to it at reset.
    """
    for stage in range(1, cycles + 1):
        register = Signal(value.shape(), name=f"{name}_{stage}", init=init or 0, reset_less=init is None)
        module.d.sync += register.eq(value)
        value = register
    return value


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


class Skew(Unit):
    """Delays each lane of a vector by a number of cycles of its own.

    Lane ``i`` of ``late`` is lane ``i`` of ``early`` as it was ``delays[i]`` cycles ago. Not reset: what travels
    here is data, whose meaning comes with it.

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
        rank, members = self.early, list(range(len(self.delays)))
        late, now = {}, 0
        for stage in sorted({0, *self.delays}):
            onward = [lane for lane in members if self.delays[lane] >= stage]
            if stage > now:
                rank = self._later(m, self._words(rank, [members.index(lane) for lane in onward]), now, stage)
            now, members = stage, onward
            arrived = [lane for lane in members if self.delays[lane] == stage]
            late.update({lane: rank.word_select(members.index(lane), self.width) for lane in arrived})
        m.d.comb += self.late.eq(Cat(late[lane] for lane in range(len(self.delays))))
        return m

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
