"""What the bit-serial family takes, what its rows bring along, and what it counts."""

import itertools
import re

import pytest
from amaranth.sim import Simulator

from pe.base import PEError
from pe.bit_serial import BitSerial
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.signs import Bipolar
from sw_ref.interval import Interval

BITS, SIGNS = Int(1, signed=False), Bipolar(1)


def computed(unit, given, output):
    """What ``output`` of a unit is for each of ``given``, a sequence of port -> value, one a cycle."""
    found, latency = [], getattr(unit, "latency", 0)

    async def bench(ctx):
        for cycle in range(len(given) + latency):
            for port, value in given[min(cycle, len(given) - 1)].items():
                ctx.set(getattr(unit, port), value)
            await ctx.delay(1e-9)
            found.append(ctx.get(getattr(unit, output)))
            if latency:
                await ctx.tick()

    simulator = Simulator(unit)
    if latency:
        simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found[latency:]


@pytest.mark.parametrize("lut", [4, 6])
@pytest.mark.parametrize("lanes", range(1, 6))
@pytest.mark.parametrize("form", [BITS, SIGNS], ids=lambda form: form.name)
def test_every_word_is_counted(form, lanes, lut):
    """All activations, weights and masks of a few lanes, against the products of single bits."""
    pe = BitSerial(act=form, weight=form, lanes=lanes, lut=lut)
    words = range(1 << lanes)
    masked = list(itertools.product(words, words))
    rows = computed(pe.row_encoder(masked=True), [{"codes": a, "mask": mask} for a, mask in masked], "operand")
    steps = [(a, mask, row, weight) for (a, mask), row in zip(masked, rows, strict=True) for weight in words]
    steps = steps[:: max(1, len(steps) // 4000)]
    core = pe.core(Accumulator(10))
    sums = computed(core, [{"act": row, "weight": w, "addend": 5} for _a, _mask, row, w in steps], "sum")
    value = {BITS: (0, 1), SIGNS: (-1, 1)}[form]
    for (a, mask, _row, w), found in zip(steps, sums, strict=True):
        products = [value[a >> i & 1] * value[w >> i & 1] for i in range(lanes) if mask >> i & 1]
        assert found == (5 + sum(products)) % 1024


def test_row_of_signs_brings_its_balance():
    pe = BitSerial(act=SIGNS, weight=SIGNS, lanes=3)
    operands = computed(pe.row_encoder(masked=True), [{"codes": 0b101, "mask": 0b011}], "operand")
    # lane 0 asks for a set weight, lane 1 for a clear one, lane 2 for none; two lanes count
    assert operands == [0b110_00_01_10]
    unmasked = pe.row_encoder(masked=False)
    assert computed(unmasked, [{"codes": 0b101}], "operand") == [0b101_10_01_10]


@pytest.mark.parametrize(
    ("form", "lanes", "term", "row_bits"),
    [
        (BITS, 1, Interval(0, 1), 1),
        (BITS, 32, Interval(0, 32), 32),
        (SIGNS, 1, Interval(-1, 1), 3),
        (SIGNS, 32, Interval(-32, 32), 70),
    ],
)
def test_term_and_widths(form, lanes, term, row_bits):
    pe = BitSerial(act=form, weight=form, lanes=lanes)
    assert pe.term == term
    assert (pe.row_bits, pe.column_bits) == (row_bits, lanes)


def test_name_tells_the_look_up_tables():
    pe = BitSerial(act=SIGNS, weight=SIGNS, lanes=32, lut=4)
    assert pe.core(Accumulator(20)).name == "bit_serial_bipolar1_bipolar1_x32_lut4_acc20"


@pytest.mark.parametrize(
    ("act", "weight", "options", "message"),
    [
        ("uint1", "bipolar1", {}, "Family bit_serial takes uint1 x uint1 or bipolar1 x bipolar1, not uint1 x bipolar1"),
        ("bipolar1", "uint1", {}, "Family bit_serial takes uint1 x uint1 or bipolar1 x bipolar1, not bipolar1 x uint1"),
        ("int1", "int1", {}, "Family bit_serial takes uint1 x uint1 or bipolar1 x bipolar1, not int1 x int1"),
        ("uint1", "uint1", {"lut": 5}, "Option lut must be 4 or 6, not 5"),
        ("uint1", "uint1", {"lut": True}, "Option lut must be 4 or 6, not True"),
    ],
)
def test_what_does_not_fit_is_refused(act, weight, options, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        BitSerial(act=parse_format(act), weight=parse_format(weight), **options)
