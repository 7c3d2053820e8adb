"""What holds the sums that leave an array against their check sums, and corrects one of a row."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from dataflow.array.column_sum import ColumnSum
from dataflow.array.shape import Shape
from hw.core.delay import late
from hw.core.narrow import wrap
from hw.core.number import Number
from hw.core.registers import delayed
from hw.core.rows import GatedAdd
from hw.core.unit import Unit, place
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.checksum import check_bits
from sw_ref.arith.float_sum import FloatSum
from sw_ref.interval import Interval

__all__ = ["CorrectRow", "DetectRow", "elaborate_verdict", "make_verdict"]


class DetectRow(Unit):
    """``fault = sum over n of sums[n] != check``, modulo ``2**bits``, see `sw_ref.arith.checksum.verdict`.

    Ports
    -----
    sums : In(cols * bits), check : In(bits), valid : In(1)
    fault : Out(1)
        Of the row of `latency` cycles ago; 0 if that was not valid.

    Parameters
    ----------
    cols, bits : int
    """

    flags: tuple[str, ...] = ("fault",)
    """Its outputs that say what it found."""

    sum_latency: int = 0
    """Cycles that sums are later for it: they go on as they are."""

    def __init__(self, *, cols: int, bits: int) -> None:
        self.cols = cols
        self.bits = bits
        self._sum = ColumnSum(values=Interval.of_bits(bits, signed=True), count=cols, weighted=False, bits=bits)
        self.latency = self._sum.latency + 1
        super().__init__({"sums": In(cols * bits), "check": In(bits), "valid": In(1), "fault": Out(1)})

    @property
    def name(self) -> str:
        return f"detect_{self.cols}x{self.bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        total = place(m, "plain_total", self._sum)
        waits = total.latency
        check = late(m, self.check, waits, name="check")
        valid = delayed(m, self.valid, waits, name="valid", init=0)
        m.d.comb += total.words.eq(self.sums)
        m.d.sync += self.fault.eq(valid & (total.total.as_unsigned() != check))
        return m


class CorrectRow(Unit):
    """Corrects the sum of a row that disagrees with both of its check sums, see `sw_ref.arith.checksum.verdict`.

    With the residues ``d1`` and ``d2``, the number of the wrong column is ``d2 / d1 - 1``. A restoring division of as
    many steps as that number has bits finds it, one step a cycle, where a comparison for each column would take as many
    adders as there are columns.

    Ports
    -----
    sums : In(cols * bits), check : In(2 * width), valid : In(1)
        The plain check sum in the low bits.
    corrected_sums : Out(cols * bits), fault, corrected : Out(1)
        Of the row of `latency` cycles ago; ``fault`` and ``corrected`` are 0 if that was not valid.

    Parameters
    ----------
    cols, bits : int
    """

    flags: tuple[str, ...] = ("fault", "corrected")

    def __init__(self, *, cols: int, bits: int) -> None:
        self.cols = cols
        self.bits = bits
        self.width = width = check_bits(bits, cols, "correct")
        self._steps = cols.bit_length()
        self._total_latency = self._make_sum(weighted=True).latency
        # residues and their magnitudes; the division; the choice of the column, and its correction
        self.latency = self.sum_latency = self._total_latency + 2 + self._steps + 2
        super().__init__(
            {
                "sums": In(cols * bits),
                "check": In(2 * width),
                "valid": In(1),
                "corrected_sums": Out(cols * bits),
                "fault": Out(1),
                "corrected": Out(1),
            }
        )

    @property
    def name(self) -> str:
        return f"correct_{self.cols}x{self.bits}"

    def _make_sum(self, *, weighted: bool) -> ColumnSum:
        values = Interval.of_bits(self.bits, signed=True)
        return ColumnSum(values=values, count=self.cols, weighted=weighted, bits=self.width)

    def circuit(self, platform: object) -> Module:
        m = Module()
        first, second = (self._residue(m, weighted) for weighted in (False, True))
        # none of a row without a fault, one if a check sum is wrong
        found = Signal(2, name="residues_found")
        negative = first.value < 0
        magnitude, rest = self._magnitudes(m, negative, first, second)
        m.d.sync += found.eq((first.value != 0) | (second.value != 0).shift_left(1))
        number, rest, size = self._divide(m, magnitude, rest)
        found = delayed(m, found, self._steps, name="found")
        # all behind the division
        quotient_counts = found.all() & (rest.value == 0)
        wrong = Signal(self.cols, name="wrong")
        error = Signal(self.bits, name="error", reset_less=True)
        late_negative = delayed(m, negative, 1 + self._steps, name="negative")
        m.d.sync += [
            wrong.eq(Mux(quotient_counts, self._one_hot(number), 0)),
            error.eq(Mux(late_negative, -size, size)[: self.bits]),
        ]
        counts = delayed(m, self.valid, self.latency - 1, name="valid", init=0)
        found = delayed(m, found, 1, name="found_last")
        m.d.sync += [
            self.fault.eq(counts & found.any()),
            self.corrected.eq(counts & (wrong.any() | found.xor())),
        ]
        self._elaborate_correction(m, wrong, error)
        return m

    def _residue(self, m: Module, weighted: bool) -> Number:
        """What the sums have more than their check sum, one cycle after the weighted total."""
        which = int(weighted)
        total = place(m, ("plain_total", "weighted_total")[which], self._make_sum(weighted=weighted))
        m.d.comb += total.words.eq(self.sums)
        check = late(m, self.check.word_select(which, self.width), total.latency, name=f"check_{which}")
        residue = wrap(Number(total.total) - Number(check.as_signed()), self.width)
        value = delayed(m, residue.value, 1 + self._total_latency - total.latency, name=f"residue_{which}")
        return Number(value, residue.interval)

    def _magnitudes(self, m: Module, negative: Value, first: Number, second: Number) -> tuple[Number, Number]:
        """The size of the first residue, and the second one with the sign that it has in relation to that."""
        numbers = []
        for name, residue in (("size", first), ("ratio", second)):
            flipped = Number.constant(0) - residue
            number = Number(Mux(negative, flipped.value, residue.value), flipped.interval | residue.interval)
            numbers.append(Number(delayed(m, number.value, 1, name=name), number.interval))
        return numbers[0], numbers[1]

    def _divide(self, m: Module, divisor: Number, rest: Number) -> tuple[Value, Number, Value]:
        """Quotient, rest, and the divisor again, after a cycle for each bit of the quotient.

        The rest of a negative number stays what it is, and so is never 0.
        """
        quotient: list[Value] = []
        size = divisor.value
        for step in reversed(range(self._steps)):
            less = rest - (Number(size, divisor.interval) << step)
            fits = less.value >= 0
            kept = Signal.like(rest.value, name=f"rest_{step}", reset_less=True)
            bit = Signal(name=f"quotient_{step}", reset_less=True)
            m.d.sync += [kept.eq(Mux(fits, less.value, rest.value)), bit.eq(fits)]
            quotient = [bit, *(delayed(m, each, 1, name=f"quotient_{step}_{at}") for at, each in enumerate(quotient))]
            size = delayed(m, size, 1, name=f"divisor_{step}")
            rest = Number(kept, rest.interval)
        return Cat(quotient), rest, size

    def _one_hot(self, number: Value) -> Value:
        """The column of a number that counts from 1 on; none for 0 or beyond the last."""
        return Cat([number == column + 1 for column in range(self.cols)])

    def _elaborate_correction(self, m: Module, wrong: Value, error: Value) -> None:
        sums = late(m, self.sums, self.latency - 1, name="sums")
        plain = (self.bits, False)
        for column in range(self.cols):
            unit = place(m, f"subtract_{column}", GatedAdd(x=plain, a=plain, sum=plain, subtract=True))
            m.d.comb += [
                unit.x.eq(sums.word_select(column, self.bits)),
                unit.a.eq(error),
                unit.gate.eq(wrong[column]),
            ]
            register = Signal(self.bits, name=f"corrected_{column}", reset_less=True)
            m.d.sync += register.eq(unit.sum)
            m.d.comb += self.corrected_sums.word_select(column, self.bits).eq(register)


def make_verdict(shape: Shape, accumulator: Accumulator | FloatSum) -> DetectRow | CorrectRow | None:
    """What judges the rows of an array of this shape; None without check columns."""
    kinds = {"none": None, "detect": DetectRow, "correct": CorrectRow}
    kind = kinds[shape.checksum]
    return kind(cols=shape.cols, bits=accumulator.bits) if kind else None


def elaborate_verdict(m: Module, verdict: DetectRow | CorrectRow, row: Mapping[str, Value]) -> dict[str, Value]:
    """Judge a row with its ``sums``, ``check``, ``valid``, and what else goes with it.

    Returns
    -------
    dict of str to Value
        The row without ``check``, `sum_latency` cycles later.
    """
    place(m, "verdict", verdict)
    m.d.comb += [getattr(verdict, name).eq(row[name]) for name in ("sums", "check", "valid")]
    rest = {name: value for name, value in row.items() if name != "check"}
    if not isinstance(verdict, CorrectRow):
        return rest
    judged: dict[str, Value] = {"sums": verdict.corrected_sums}
    judged["valid"] = delayed(m, rest.pop("valid"), verdict.sum_latency, name="judged", init=0)
    del rest["sums"]
    told, at = late(m, Cat(rest.values()), verdict.sum_latency, name="beside_sums"), 0
    for name, value in rest.items():
        judged[name] = told[at : at + len(value)]
        at += len(value)
    return judged
