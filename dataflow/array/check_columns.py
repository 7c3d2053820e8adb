"""Check columns: beside the cells of an array, the check sums of its rows, formed of the same codes."""

from abc import abstractmethod
from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Member, Out

from dataflow.array.column_sum import ColumnSum
from dataflow.array.row_sums import rows_in_turn
from hw.core.delay import late
from hw.core.naming import format_name
from hw.core.narrow import wrap
from hw.core.number import Number, shape_of
from hw.core.registers import delayed
from hw.core.stages import stages_for
from hw.core.unit import Unit, place
from hw.integer.multiply import Multiply, product_steps
from pe.operands.decode import is_plain, value_latency, value_of
from sw_ref.arith.checksum import check_factors
from sw_ref.formats.base import Format
from sw_ref.interval import Interval

__all__ = ["OutputStationaryCheck", "WeightStationaryCheck"]


class _CheckColumn(Unit):
    """What both dataflows have: the weights of a step summed over all columns, and products of these sums.

    Nothing of it is shared with the cells, nor with another check column, so that nothing can be wrong in both.

    Ports
    -----
    act_codes : In(rows * lanes * act bits), weight_codes : In(cols * lanes * weight bits)
        As the array has them.
    """

    def __init__(
        self,
        *,
        act: Format,
        weight: Format,
        rows: int,
        lanes: int,
        cols: int,
        bits: int,
        weighted: bool,
        dsp: str,
    ) -> None:
        self.act = act
        self.weight = weight
        self.rows = rows
        self.lanes = lanes
        self.cols = cols
        self.bits = bits
        self.weighted = weighted
        self.dsp = dsp
        self._column = weight.fixed_form.interval * int(check_factors(cols, weighted=weighted).sum())
        self._sum_latency = self._make_sum().latency
        narrow = min(self._column, act.fixed_form.interval | 0, key=lambda each: each.bits)
        self._product_latency = 1 + stages_for(product_steps(narrow, dsp=dsp))
        codes = {"act_codes": In(rows * lanes * act.bits), "weight_codes": In(cols * lanes * weight.bits)}
        super().__init__({**codes, **self._own_ports()})

    @abstractmethod
    def _own_ports(self) -> Mapping[str, Member]:
        """Ports besides the codes."""

    @property
    def name(self) -> str:
        kind = "weighted_check" if self.weighted else "check"
        shape = f"{self.rows}x{self.cols}" + (f"x{self.lanes}" if self.lanes > 1 else "")
        return f"{kind}_{format_name(self.act)}_{format_name(self.weight)}_{shape}_{self.bits}"

    @property
    def _ahead(self) -> int:
        """Cycles from codes to the operands of a product."""
        return max(_settled(self.weight) + self._sum_latency, _settled(self.act))

    def _make_sum(self) -> ColumnSum:
        values = self.weight.fixed_form.interval
        return ColumnSum(values=values, count=self.cols, weighted=self.weighted, bits=self._column.signed_bits)

    def _place_sums(self, m: Module) -> list[Number]:
        """For each lane, the sum of the weights of all columns, `_ahead` cycles late."""
        form, sums = self.weight, []
        waits = self._ahead - self._sum_latency - value_latency(form)
        width = shape_of(form.fixed_form.interval).width
        for lane in range(self.lanes):
            unit = place(m, f"columns_{lane}", self._make_sum())
            for column in range(self.cols):
                code = self.weight_codes.word_select(column * self.lanes + lane, form.bits)
                number = value_of(m, f"decode_weight_{column}_{lane}", form, code, registered=True)
                value = delayed(m, number.value, waits, name=f"weight_{column}_{lane}")
                m.d.comb += unit.words.word_select(column, width).eq(value)
            sums.append(Number(unit.total, self._column))
        return sums

    def _place_acts(self, m: Module, mask: Value | None) -> list[Number]:
        """Each activation, or 0 where its ``mask`` is low, `_ahead` cycles late."""
        form, numbers = self.act, []
        # codes wait rather than what they stand for, which may be wider; one register is behind that
        waits = self._ahead - value_latency(form)
        behind = min(1, waits)
        codes = delayed(m, self.act_codes, waits - behind, name="act_codes_late")
        mask = None if mask is None else delayed(m, mask, self._ahead - behind, name="mask_late")
        for index in range(len(codes) // form.bits):
            code = codes.word_select(index, form.bits)
            number = value_of(m, f"decode_act_{index}", form, code, registered=True)
            if mask is not None:
                number = Number(Mux(mask[index], number.value, 0), number.interval | 0)
            numbers.append(Number(delayed(m, number.value, behind, name=f"act_{index}"), number.interval))
        return numbers

    def _multiply(self, m: Module, name: str, a: Number, b: Number) -> Number:
        """``a * b``, `_product_latency` cycles late, modulo ``2**bits``."""
        shapes = a.value.shape(), b.value.shape()
        formats = {port: (shape.width, shape.signed) for port, shape in zip("ab", shapes, strict=True)}
        unit = place(m, name, Multiply(**formats, dsp=self.dsp, pipeline=self._product_latency))
        m.d.comb += [unit.a.eq(a.value), unit.b.eq(b.value)]
        return wrap(Number(unit.product, a.interval * b.interval), self.bits)

    def _total(self, m: Module, name: str, numbers: list[Number]) -> Value:
        """The sum of numbers of as many bits as a check sum at most, a `ColumnSum`."""
        interval = _hull(numbers)
        unit = place(m, name, ColumnSum(values=interval, count=len(numbers), weighted=False, bits=self.bits))
        width = shape_of(interval).width
        m.d.comb += [unit.words.word_select(at, width).eq(number.value) for at, number in enumerate(numbers)]
        return unit.total


class OutputStationaryCheck(_CheckColumn):
    """The check sums of the rows of an output-stationary array, each kept until the last step of its sum.

    Ports
    -----
    act_codes : In(rows * lanes * act bits), weight_codes : In(cols * lanes * weight bits)
    mask : In(lanes), only with several lanes
    valid, last : In(1)
        As the array has them.
    sum : Out(bits)
        Of row r `latency` + r cycles after the last step.

    Parameters
    ----------
    act, weight : Format
        With fixed-point forms.
    rows, lanes, cols : int
        Of the array.
    bits : int
        Width of a check sum.
    weighted : bool
        See `sw_ref.arith.checksum.check_factors`.
    dsp : {"none", "auto"}
        See `hw.integer.multiply.Multiply`.
    """

    def _own_ports(self) -> Mapping[str, Member]:
        mask = {"mask": In(self.lanes)} if self.lanes > 1 else {}
        return {**mask, "valid": In(1), "last": In(1), "sum": Out(self.bits)}

    @property
    def latency(self) -> int:
        """Cycles from the last step to row 0."""
        return self._step_latency + 1

    @property
    def _step_latency(self) -> int:
        """Cycles from the codes of a step to what it adds."""
        return self._ahead + self._product_latency + (self.lanes - 1).bit_length()

    def circuit(self, platform: object) -> Module:
        m = Module()
        columns = self._place_sums(m)
        acts = self._place_acts(m, self.mask.replicate(self.rows) if self.lanes > 1 else None)

        def step(row: int) -> Value:
            mine = acts[row * self.lanes : (row + 1) * self.lanes]
            products = [
                self._multiply(m, f"multiply_{row}_{lane}", act, column)
                for lane, (act, column) in enumerate(zip(mine, columns, strict=True))
            ]
            return self._total(m, f"step_{row}", products)

        valid = delayed(m, self.valid, self._step_latency, name="valid_late", init=0)
        last = delayed(m, self.last, self._step_latency, name="last_late", init=0)
        m.d.comb += self.sum.eq(rows_in_turn(m, step, rows=self.rows, bits=self.bits, valid=valid, last=last))
        return m


class WeightStationaryCheck(_CheckColumn):
    """The check sums of the vectors of a weight-stationary array, whose blocks of weights are kept as their sums.

    Ports
    -----
    act_codes : In(rows * lanes * act bits), weight_codes : In(cols * lanes * weight bits)
    mask : In(rows * lanes), load : In(rows), swap : In(1)
        As the array has them.
    base : In(bits), sum : Out(bits)
        ``sum = base + check sum`` of the vector of ``latency`` cycles ago, where ``base`` came ``base_latency`` cycles
        ago.

    Parameters
    ----------
    act, weight, rows, lanes, cols, bits, weighted, dsp
        See `OutputStationaryCheck`.
    latency, base_latency : int
        At least `least_latency`, and at least 1.
    """

    def __init__(
        self,
        *,
        act: Format,
        weight: Format,
        rows: int,
        lanes: int,
        cols: int,
        bits: int,
        weighted: bool,
        dsp: str,
        latency: int,
        base_latency: int,
    ) -> None:
        self.latency = latency
        self.base_latency = base_latency
        columns = {"rows": rows, "lanes": lanes, "cols": cols, "bits": bits}
        super().__init__(act=act, weight=weight, **columns, weighted=weighted, dsp=dsp)

    def _own_ports(self) -> Mapping[str, Member]:
        masks, bits = self.rows * self.lanes, self.bits
        return {"mask": In(masks), "load": In(self.rows), "swap": In(1), "base": In(bits), "sum": Out(bits)}

    @property
    def least_latency(self) -> int:
        """Cycles from a vector to its check sum, where nothing waits."""
        return self._ahead + self._product_latency + (self.rows * self.lanes - 1).bit_length() + self.base_latency

    def circuit(self, platform: object) -> Module:
        m = Module()
        columns, acts = self._place_sums(m), self._place_acts(m, self.mask)
        load = delayed(m, self.load, self._ahead, name="load_late")
        swap = delayed(m, self.swap, self._ahead, name="swap_late")
        products = []
        for row in range(self.rows):
            for lane, column in enumerate(columns):
                name = f"{row}_{lane}"
                following = Signal(column.value.shape(), name=f"following_{name}", reset_less=True)
                in_use = Signal(column.value.shape(), name=f"in_use_{name}", reset_less=True)
                with m.If(load[row]):
                    m.d.sync += following.eq(column.value)
                with m.If(swap):
                    m.d.sync += in_use.eq(following)
                act = acts[row * self.lanes + lane]
                products.append(self._multiply(m, f"multiply_{name}", act, Number(in_use, column.interval)))
        total = late(m, self._total(m, "vector", products), self.latency - self.least_latency, name="total_late")
        sum_ = Signal(self.bits, name="check_sum", reset_less=True)
        m.d.sync += sum_.eq(self.base + total)
        m.d.comb += self.sum.eq(delayed(m, sum_, self.base_latency - 1, name="sum_late"))
        return m


def _settled(form: Format) -> int:
    """Cycles from codes to a register with what they stand for; none where that is the code itself."""
    return 0 if is_plain(form) else value_latency(form) + 1


def _hull(numbers: list[Number]) -> Interval:
    """Smallest interval that holds those of all numbers."""
    first, *others = (number.interval for number in numbers)
    for each in others:
        first = first | each
    return first
