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
        lanes = [self.early.word_select(i, self.width) for i in range(len(self.delays))]
        for stage in range(1, max(self.delays) + 1):
            # one register a stage, for all lanes that go on from here
            travelling = [i for i, delay in enumerate(self.delays) if delay >= stage]
            rank = Signal(self.width * len(travelling), name=f"rank_{stage}", reset_less=True)
            m.d.sync += rank.eq(Cat(lanes[i] for i in travelling))
            for place, lane in enumerate(travelling):
                lanes[lane] = rank.word_select(place, self.width)
        m.d.comb += self.late.eq(Cat(lanes))
        return m
