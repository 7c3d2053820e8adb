"""Sums over the columns of an array, plain or weighted by the number of the column: a tree with registers."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from hw.core.narrow import wrap
from hw.core.number import Number, assign, shape_of
from hw.core.unit import Unit
from sw_ref.interval import Interval

__all__ = ["ColumnSum"]


class ColumnSum(Unit):
    """``total = sum over n of words[n]``, or ``sum over n of (n + 1) * words[n]``, modulo ``2**bits``.

    A register stands behind every addition. The weighted sum takes no multipliers: of two neighbouring blocks of
    ``2**l`` columns with plain sums s and weighted sums t, those of both are ``s0 + s1`` and
    ``t0 + (t1 + 2**l * s1)``.

    Ports
    -----
    words : In(count * bits of a word)
        Each in as few bits as ``values`` takes, column 0 in the low bits.
    total : Out(signed(bits))
        Of the words of `latency` cycles ago.

    Parameters
    ----------
    values : Interval
        What a word can be.
    count : int
        Columns.
    weighted : bool
    bits : int
    """

    def __init__(self, *, values: Interval, count: int, weighted: bool, bits: int) -> None:
        self.values = values
        self.count = count
        self.weighted = weighted
        self.bits = bits
        levels = (count - 1).bit_length()
        self.latency = max(0, 2 * levels - 1) if weighted else levels
        super().__init__({"words": In(count * shape_of(values).width), "total": Out(signed(bits))})

    @property
    def name(self) -> str:
        return f"{'weighted' if self.weighted else 'column'}_sum_{self.count}x{shape_of(self.values).width}_{self.bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        shape = shape_of(self.values)
        words = [self.words.word_select(column, shape.width) for column in range(self.count)]
        plain = [Number(word.as_signed() if shape.signed else word, self.values) for word in words]
        total = self._weighted(m, plain) if self.weighted else self._plain(m, plain)
        m.d.comb += assign(self.total, wrap(total, self.bits))
        return m

    def _plain(self, m: Module, sums: list[Number]) -> Number:
        level = 0
        while len(sums) > 1:
            sums = self._paired(m, f"sum_{level}", sums)
            level += 1
        return sums[0]

    def _weighted(self, m: Module, sums: list[Number]) -> Number:
        weighted, level = sums, 0
        while len(sums) > 1:
            moved = [self._moved(m, level, at, sums[at], weighted[at]) for at in range(len(sums))]
            plain = self._paired(m, f"sum_{level}", sums)
            if level:
                plain = [self._register(m, f"sum_{level}_{at}_late", each) for at, each in enumerate(plain)]
            weighted = self._paired(m, f"weighted_{level}", moved)
            sums, level = plain, level + 1
        return weighted[0]

    def _moved(self, m: Module, level: int, at: int, plain: Number, weighted: Number) -> Number:
        """The weighted sum of a block as the half of a larger one."""
        if not level:
            # of one column, both sums are the same
            return plain << at % 2
        return self._register(m, f"moved_{level}_{at}", weighted + (plain << level) if at % 2 else weighted)

    def _paired(self, m: Module, name: str, numbers: list[Number]) -> list[Number]:
        """The sums of neighbours, each in a register; the last alone if it has no neighbour."""
        sums = [a + b for a, b in zip(numbers[::2], numbers[1::2], strict=False)] + numbers[len(numbers) & ~1 :]
        return [self._register(m, f"{name}_{at}", each) for at, each in enumerate(sums)]

    def _register(self, m: Module, name: str, number: Number) -> Number:
        kept = wrap(number, self.bits)
        register = Signal(kept.value.shape(), name=name, reset_less=True)
        m.d.sync += register.eq(kept.value)
        return Number(register, kept.interval)
