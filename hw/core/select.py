"""Selecting one of several words, and adding or subtracting it on the same carry chain."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Value, ValueLike, signed
from amaranth.lib.wiring import In, Out

from hw.core.rows import above, with_below
from hw.core.unit import Unit, place

__all__ = ["Choose", "SelectAdd", "pick", "select"]


class Choose(Unit):
    """``word = word_<key>``, or its complement with ``negate``: multiplexers that stay apart from what follows them.

    Parameters
    ----------
    words, word_bits : int
        How many there are, word 0 in the low bits of ``table``, and their width.
    complements : bool
        Whether there is ``negate``.
    """

    def __init__(self, *, words: int, word_bits: int, complements: bool) -> None:
        self.words = words
        self.word_bits = word_bits
        self.complements = complements
        super().__init__(
            {
                "table": In(words * word_bits),
                "key": In((words - 1).bit_length()),
                **({"negate": In(1)} if complements else {}),
                "word": Out(word_bits),
            }
        )

    @property
    def name(self) -> str:
        return f"choose_{self.words}x{self.word_bits}{'_or_complement' if self.complements else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        words: list[Value] = [self.table.word_select(index, self.word_bits) for index in range(self.words)]
        for bit in self.key:
            pairs = [Mux(bit, high, low) for low, high in zip(words[::2], words[1::2], strict=False)]
            words = pairs + words[2 * len(pairs) :]
        complement = self.negate.replicate(self.word_bits) if self.complements else 0
        m.d.comb += self.word.eq(words[0] ^ complement)
        return m


class SelectAdd(Unit):
    """``sum = x + word[key]``, or ``x - word[key]`` with ``negate``, or ``x`` with ``zero``: one carry chain.

    With two words, a bit takes five inputs, ``x`` among them: one LUT6, or a LUT4 in front of the chain.

    Parameters
    ----------
    x_bits, sum_bits : int
        Widths, all signed. ``sum`` must hold every result that occurs.
    words, word_bits : int
        How many there are, word 0 in the low bits of ``table``, and their width.
    or_zero : bool
        Whether there is ``zero``.
    lut : {4, 6}
        Inputs of the look-up tables that it is to be mapped to, see `select`.
    """

    def __init__(self, *, x_bits: int, words: int, word_bits: int, or_zero: bool, lut: int, sum_bits: int) -> None:
        self.words = words
        self.word_bits = word_bits
        self.or_zero = or_zero
        self.lut = lut
        super().__init__(
            {
                "x": In(signed(x_bits)),
                "table": In(words * word_bits),
                "key": In((words - 1).bit_length()),
                **({"zero": In(1)} if or_zero else {}),
                "negate": In(1),
                "sum": Out(signed(sum_bits)),
            }
        )

    @property
    def name(self) -> str:
        words = f"{self.words}{'z' if self.or_zero else ''}xi{self.word_bits}"
        return f"add_selected_i{len(self.x)}_{words}_i{len(self.sum)}_lut{self.lut}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        zero = self.zero if self.or_zero else None
        word = select(m, "selected", self.table, self.key, zero, self.negate, word_bits=self.word_bits, lut=self.lut)
        # Written as a difference, since synthesis may swap the operands of a sum, and the chain is to take x as it is.
        # The bit below the lowest borrows unless the word is negated, where the complement lacks 1.
        total = with_below(self.negate, self.x) - with_below(1, ~word)
        m.d.comb += self.sum.eq(above(m, total, self.sum))
        return m


def select(
    m: Module, name: str, table: Value, key: Value, zero: Value | None, negate: Value, *, word_bits: int, lut: int
) -> Value:
    """The signed word of ``table`` that ``key`` is the index of, or its complement: 1 less than its negative.

    Where ``zero`` is set, which ``negate`` then is not, 0. With more than two words there are `Choose` first, for
    look-up tables of 6 inputs one, that leaves the rest to what takes the word; for those of 4 a tree of pairs, which
    are complemented at once, so that the last has an input left for ``zero``.
    """
    words = [table[at : at + word_bits] for at in range(0, len(table), word_bits)]
    complement = negate.replicate(word_bits)
    if len(words) == 2:
        word = Mux(key[0], words[1], words[0]) ^ complement
        return (word if zero is None else Mux(zero, 0, word)).as_signed()
    if lut == 6:
        word = _chosen(m, name, words, key, None)
        return ((word if zero is None else Mux(zero, 0, word)) ^ complement).as_signed()
    for level, bit in enumerate(key[:-1]):
        if len(words) % 2:
            words.append(words[-1])
        pairs = range(0, len(words), 2)
        words = [_chosen(m, f"{name}_{level}_{at}", words[at : at + 2], bit, None if level else negate) for at in pairs]
    word = Mux(key[-1], words[1], words[0])
    return (word if zero is None else Mux(zero, 0, word)).as_signed()


def _chosen(m: Module, name: str, words: list[Value], key: Value, negate: Value | None) -> Value:
    unit = place(m, name, Choose(words=len(words), word_bits=len(words[0]), complements=negate is not None))
    m.d.comb += [unit.table.eq(Cat(words)), unit.key.eq(key)]
    if negate is not None:
        m.d.comb += unit.negate.eq(negate)
    return unit.word


def pick(key: Value, choices: Sequence[ValueLike]) -> Value:
    """``choices[key]``, the last one if there is none: by choices of two, which linters read better than an `Array`."""
    if len(choices) == 1:
        return Value.cast(choices[0])
    choices = [*choices, *[choices[-1]] * ((1 << len(key)) - len(choices))]
    half = len(choices) // 2
    return Mux(key[-1], pick(key[:-1], choices[half:]), pick(key[:-1], choices[:half]))
