"""What the two halves of an engine share: what feeds the array, and what takes its sums."""

from collections.abc import Collection
from dataclasses import dataclass

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data

from dataflow.drain.parameters import ParameterQueue
from dataflow.engine.panel import PanelBuffer
from hw.core.unit import Unit

__all__ = ["Leaving", "Parts"]


class Leaving:
    """A row of sums that leaves the array, and what it is.

    ``valid``: there is one. ``row``: of its panel. ``ends_group``: it is the last row of its group. ``first``,
    ``last``: it is the first, or the last, of the sums of its elements of C. ``final``: it is the last of the product.
    ``invalid``, for each column: an operand of the sum is not finite.
    There are only those of them that somebody takes; ``flags`` are those of the last three.

    Parameters
    ----------
    widths : dict of str to int
        Of ``sums``, ``row_sum`` and ``invalid``.
    panel_rows : int
    taken : collection of str
        Which of them somebody takes.
    """

    def __init__(self, *, widths: dict[str, int], panel_rows: int, taken: Collection[str]) -> None:
        shapes = {
            **widths,
            "row": range(max(panel_rows, 2)),
            **dict.fromkeys(("valid", "ends_group", "first", "last", "final"), 1),
        }
        self.signals = {name: Signal(shapes[name], name=f"leaving_{name}") for name in taken}
        self.flags = tuple(name for name in ("first", "last", "final") if name in taken)

    def tell(self, m: Module, **values: Value) -> None:
        """Give what is known of the row; what nobody takes is left out."""
        m.d.comb += [self.signals[name].eq(value) for name, value in values.items() if name in self.signals]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the two halves of an engine share.

    ``accepted`` is high in the cycle in which a command is, ``job`` holds it afterwards, and ``start`` is high when
    there is a ``plan`` of it, see `dataflow.engine.walk.elaborate_plan`. Each result is reserved room for when its last
    products are issued, of what is ``free``, and is ``given_back`` when its reader takes it; and so are the parameters
    that its sums need (``queues``); ``leaving`` is what comes out of the array. ``tick`` is high in each cycle in which
    a step can end, see `PE.interleave`.
    """

    job: data.View
    plan: data.View
    accepted: Signal
    start: Signal
    panel: PanelBuffer
    array: Unit
    free: Signal
    given_back: Signal
    queues: dict[str, ParameterQueue]
    leaving: Leaving
    tick: Value

    def elaborate_reserve(self, m: Module, *, rows: Value, starts: Value, completes: Value, ends: Value) -> Value:
        """Reserve what the last step of a group takes for so many rows, in a cycle in which it ``ends``.

        Parameters are reserved where a group ``starts`` to end, room where it ``completes`` results. Returns whether
        all of it is there. Either ``rows`` is the constant 1, or a cycle lies between two ends.
        """
        amounts = {"row": rows, "column": starts, "output": starts & completes}
        # whether a group ends is known last
        rest = Mux(completes, self.free - rows, self.free)
        m.d.sync += self.free.eq(Mux(ends, rest + self.given_back, self.free + self.given_back))
        ready = ~completes | _enough(m, "room", self.free, rows, taken=ends & completes, added=self.given_back)
        for name, queue in self.queues.items():
            m.d.comb += [queue.amount.eq(amounts[name]), queue.reserve.eq(ends)]
            each, taken = (rows, ends) if name == "row" else (Const(1), ends & amounts[name])
            enough = _enough(
                m, name, queue.available, each, taken=taken, added=queue.parameters.valid & queue.parameters.ready
            )
            ready &= enough if name == "row" else ~amounts[name] | enough
        return ready


def _enough(m: Module, name: str, count: Value, amount: Value, *, taken: Value, added: Value) -> Value:
    """Whether ``count`` will be ``amount`` at least in the next cycle, in a register.

    Of one at a time that is exact; else a cycle late, after which nothing has been taken.
    """
    enough = Signal(name=f"enough_{name}")
    if isinstance(amount, Const):
        more, some = Mux(added, count > 0, count > 1), Mux(added, 1, count > 0)
        m.d.sync += enough.eq(Mux(taken, more, some))
    else:
        m.d.sync += enough.eq(count >= amount)
    return enough
