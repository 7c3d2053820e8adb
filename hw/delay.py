"""Delay lines: of one signal, and of many lanes that are skewed against each other."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from hw.unit import Unit

__all__ = ["Skew", "delayed"]


def delayed(module: Module, value: Value, cycles: int, *, name: str, init: int | None = None) -> Value:
    """``value`` as it was ``cycles`` cycles ago.

    Data is not reset (``init`` left out); a control signal starts from ``init`` and returns to it at reset.
    """
    for stage in range(1, cycles + 1):
        register = Signal(value.shape(), name=f"{name}_{stage}", init=init or 0, reset_less=init is None)
        module.d.sync += register.eq(value)
        value = register
    return value


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
        late = {}
        for stage in range(max(self.delays) + 1):
            arrived = [lane for lane in members if self.delays[lane] == stage]
            late.update({lane: rank.word_select(members.index(lane), self.width) for lane in arrived})
            onward = [lane for lane in members if self.delays[lane] > stage]
            if onward:
                # one register a stage, for all lanes that go on from here
                following = Signal(self.width * len(onward), name=f"rank_{stage + 1}", reset_less=True)
                m.d.sync += following.eq(self._words(rank, [members.index(lane) for lane in onward]))
                rank, members = following, onward
        m.d.comb += self.late.eq(Cat(late[lane] for lane in range(len(self.delays))))
        return m

    def _words(self, rank: Value, places: list[int]) -> Value:
        """Some words of ``rank``, neighbours as one slice."""
        starts = [place for place in places if place - 1 not in places]
        stops = [place + 1 for place in places if place + 1 not in places]
        return Cat(rank[start * self.width : stop * self.width] for start, stop in zip(starts, stops, strict=True))
