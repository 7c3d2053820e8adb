"""Tables of activations and the keys into them: what both edges put out, and that the cell's sums are exact."""

import re
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator

from pe.base import PEError
from pe.look_up.table import Table
from pe.look_up.ternary_table import TernaryTable
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.table import RoundedTable
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.signs import Bipolar, Ternary
from sw_ref.interval import Interval
from tb.core import Trial, simulate_cores

ELEMENTS = [
    *(Table(act=Int(8), weight=Bipolar(1), lanes=k, k=k) for k in (2, 3, 4, 5, 6)),
    Table(act=Int(8), weight=Bipolar(3), lanes=8, k=4),
    Table(act=Int(5, signed=False), weight=Bipolar(2), lanes=6, k=3),
    *(TernaryTable(act=Int(8), weight=Ternary(), lanes=k, k=k) for k in (2, 3, 4, 5)),
    TernaryTable(act=Int(3, signed=False), weight=Ternary(), lanes=4, k=2),
]
LOSSY = [
    Table(act=Int(8), weight=Bipolar(1), lanes=4, k=4, table_bits=8),
    Table(act=Int(8), weight=Bipolar(2), lanes=4, table_bits=2),
]
# Operands of 12 bits, and one of 16.
SMALL = [
    Table(act=Int(2), weight=Bipolar(1), lanes=4, k=4),
    Table(act=Int(2, signed=False), weight=Bipolar(4), lanes=2),
    Table(act=Int(2), weight=Bipolar(2), lanes=3, k=3, table_bits=3),
    TernaryTable(act=Int(2), weight=Ternary(), lanes=3, k=3),
    TernaryTable(act=Int(2), weight=Ternary(), lanes=4),
    TernaryTable(act=Int(2), weight=Ternary(), lanes=3, k=3, lut=4),
]


def by_name(elements):
    return pytest.mark.parametrize("pe", elements, ids=[pe.name for pe in elements])


def operands_of(encoder, words):
    """What an encoder makes of words of codes, and of masks if there are any, one a cycle."""
    found = []

    async def bench(ctx):
        for cycle in range(len(words) + encoder.latency):
            word, *mask = words[min(cycle, len(words) - 1)]
            ctx.set(encoder.codes, word)
            if mask:
                ctx.set(encoder.mask, mask[0])
            await ctx.delay(1e-9)
            found.append(ctx.get(encoder.operand))
            if encoder.latency:
                await ctx.tick()

    simulator = Simulator(encoder)
    if encoder.latency:
        simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found[encoder.latency :]


def fields_of(word, bits, count):
    return [word >> bits * index & (1 << bits) - 1 for index in range(count)]


def steps_of(pe, random, count):
    """Activations and masks, as integers, of some steps; the first ones are at the bounds."""
    low, high = pe.act.interval.lo, pe.act.interval.hi
    acts = random.integers(low, high, (count, pe.lanes), endpoint=True)
    acts[: count // 4] = random.choice([low, high], (count // 4, pe.lanes))
    masks = random.random(acts.shape) < 0.8
    masks[: count // 2] = True
    return acts, masks


def tables_of(pe, acts, masks):
    """The entries of all tables, for each step, out of a row's encoder."""
    words = [
        (
            sum(int(act) % (1 << pe.act.bits) << pe.act.bits * lane for lane, act in enumerate(step)),
            sum(int(bit) << lane for lane, bit in enumerate(mask)),
        )
        for step, mask in zip(acts, masks, strict=True)
    ]
    for word in operands_of(pe.row_encoder(masked=True), words):
        fields = np.array(fields_of(word, pe.entry_bits, pe.tables * len(pe.signs)))
        entries = np.where(fields >> pe.entry_bits - 1, fields - (1 << pe.entry_bits), fields)
        yield entries.reshape(pe.tables, -1)


@by_name(ELEMENTS)
def test_entries_are_the_signed_sums(pe):
    acts, masks = steps_of(pe, np.random.default_rng(0), 100)
    for step, mask, tables in zip(acts, masks, tables_of(pe, acts, masks), strict=True):
        counted = (step * mask).reshape(pe.tables, pe.k)
        np.testing.assert_array_equal(tables, counted @ np.transpose(pe.signs))


@by_name(LOSSY)
def test_lossy_entries_are_rounded_and_saturated(pe):
    acts, masks = steps_of(pe, np.random.default_rng(0), 300)
    largest, seen = 2 ** (pe.table_bits - 1) - 1, set()
    for step, mask, tables in zip(acts, masks, tables_of(pe, acts, masks), strict=True):
        exact = (step * mask).reshape(pe.tables, pe.k) @ np.transpose(pe.signs)
        kept = [[max(-largest, min(largest, round(one / 2**pe.shift))) for one in table] for table in exact.tolist()]
        np.testing.assert_array_equal(tables, kept)
        seen.update(tables.ravel().tolist())
    assert {min(seen), max(seen)} == {-largest, largest}


@by_name(ELEMENTS)
def test_selections_make_the_weight(pe):
    """Every choice of weights for the first table, up to 10 bits of them; the others hold weight 0."""
    bits = min(10, pe.k * pe.weight.bits)
    words = operands_of(pe.column_encoder(), [(word,) for word in range(1 << bits)])
    zero = (0,) * pe.k
    for code, word in enumerate(words):
        weights = pe.weight.to_fixed(fields_of(code, pe.weight.bits, pe.lanes)).reshape(pe.tables, pe.k)
        made = np.zeros_like(weights)
        for index, column in enumerate(fields_of(word, pe.selection_bits, pe.planes * pe.tables)):
            plane, table = divmod(index, pe.tables)
            key, negate = column & (1 << pe.key_bits) - 1, column >> pe.selection_bits - 1
            signs = zero if pe.or_zero and column >> pe.key_bits & 1 else pe.signs[key]
            made[table] += np.array(signs) * (-1 if negate else 1) << plane
        np.testing.assert_array_equal(made, weights)


def test_entries_are_in_the_order_of_their_sources():
    lead = Table(act=Int(8), weight=Bipolar(1), lanes=3, k=3).signs
    assert lead == ((1, -1, -1), (1, 1, -1), (1, -1, 1), (1, 1, 1))
    ternary = TernaryTable(act=Int(8), weight=Ternary(), lanes=3, k=3).signs
    # a0+a1+a2, a0+a1, a0+a1-a2, ... a2
    assert (ternary[:3], ternary[12], len(ternary)) == (((1, 1, 1), (1, 1, 0), (1, 1, -1)), (0, 0, 1), 13)


@pytest.mark.parametrize(
    ("pe", "entry", "bits"),
    [
        (Table(act=Int(8), weight=Bipolar(1), lanes=2), Interval(-256, 255), 9),
        (Table(act=Int(8), weight=Bipolar(1), lanes=4, k=4), Interval(-512, 511), 10),
        (Table(act=Int(8, signed=False), weight=Bipolar(1), lanes=2), Interval(-255, 510), 10),
        (Table(act=Int(8), weight=Bipolar(1), lanes=4, k=4, table_bits=8), Interval(-127, 127), 8),
        (TernaryTable(act=Int(8), weight=Ternary(), lanes=3, k=3), Interval(-384, 383), 10),
    ],
)
def test_entries_are_no_wider_than_their_interval(pe, entry, bits):
    assert (pe.entry, pe.entry_bits) == (entry, bits)
    assert pe.row_bits == pe.tables * len(pe.signs) * bits


@pytest.mark.parametrize(
    ("family", "weight", "additions"),
    [
        (Table, Bipolar(1), {2: 2, 3: 6, 4: 12, 5: 24, 6: 44}),
        (TernaryTable, Ternary(), {2: 2, 3: 10, 4: 36}),
    ],
)
def test_tables_share_their_additions(family, weight, additions):
    for k, count in additions.items():
        pe = family(act=Int(8), weight=weight, lanes=k, k=k)
        circuit = rtlil.convert(pe.row_encoder(masked=True))
        assert len(re.findall(r"cell \$(?:add|sub) ", circuit)) == count


def every_pair(pe):
    """A trial of all operands of one step."""
    lanes = np.arange(pe.lanes)
    act_bits, weight_bits = pe.lanes * pe.act.bits, pe.lanes * pe.weight.bits
    pairs = np.arange(1 << act_bits + weight_bits)[:, None]
    act = pairs >> pe.act.bits * lanes & (1 << pe.act.bits) - 1
    return Trial(
        pe=pe,
        accumulator=Accumulator(12),
        mode=np.zeros(len(pairs), np.int64),
        act=act,
        weight=pairs >> act_bits + pe.weight.bits * lanes & (1 << pe.weight.bits) - 1,
        mask=np.full(act.shape, True),
        addend=pairs[:, 0] % 255 - 127,
    )


def test_every_pair_of_operands():
    trials = [every_pair(pe) for pe in SMALL]
    assert simulate_cores(trials).failure is None
    for trial in trials:
        dots = trial.sums - trial.addend
        assert (dots.min(), dots.max()) == (trial.pe.term.lo, trial.pe.term.hi)


@pytest.mark.parametrize(
    ("pe", "shift", "term"),
    [(LOSSY[0], 2, Interval(-127, 127)), (LOSSY[1], 7, Interval(-6, 6))],
    ids=["table_bits_8", "table_bits_2"],
)
def test_lossy_tables_say_so(pe, shift, term):
    assert pe.rule == RoundedTable(k=pe.k, planes=pe.weight.bits, shift=shift, bits=pe.table_bits)
    assert pe.name.endswith(f"_lossy{pe.table_bits}")
    assert pe.term == term
    assert "lossy" in pe.summary


def test_names_tell_everything():
    assert Table(act=Int(8), weight=Bipolar(2), lanes=8).name == "table_int8_bipolar2_x8_k2"
    assert Table(act=Int(8), weight=Bipolar(2), lanes=4, k=4, lut=4).name == "table_int8_bipolar2_x4_k4_lut4"
    assert LOSSY[0].name == "table_int8_bipolar1_x4_k4_lossy8"
    assert TernaryTable(act=Int(8), weight=Ternary(), lanes=3, k=3).name == "ternary_table_int8_ternary_x3_k3"


@pytest.mark.parametrize(
    ("family", "given", "message"),
    [
        (Table, {"weight": "int2"}, "Family table takes bipolar weights, such as bipolar2, not int2"),
        (Table, {"act": "bipolar2"}, "Family table takes integer activations, not bipolar2"),
        (Table, {"k": 9, "lanes": 9}, "Option k must be an integer from 2 to 6, not 9"),
        (Table, {"k": True}, "Option k must be an integer from 2 to 6, not True"),
        (Table, {"lut": 5}, "Option lut must be 4 or 6, not 5"),
        (Table, {"lanes": 3}, "Lanes must be a multiple of option k, 2, not 3"),
        *(
            (Table, {"table_bits": bits}, f"Option table_bits must be 0 for exact tables, or from 2 to 8, not {bits!r}")
            for bits in (1, 9)
        ),
        *(
            (Table, {"table_bits": bits}, f"Option table_bits must be an integer from 0 to 64, not {bits!r}")
            for bits in (-1, True, None)
        ),
        (TernaryTable, {"weight": "bipolar1"}, "Family ternary_table takes ternary weights, not bipolar1"),
        (TernaryTable, {"act": "nf4"}, "Family ternary_table takes integer activations, not nf4"),
        (TernaryTable, {"k": 6, "lanes": 6}, "Option k must be an integer from 2 to 5, not 6"),
        (TernaryTable, {"k": 3, "lanes": 4}, "Lanes must be a multiple of option k, 3, not 4"),
    ],
)
def test_what_does_not_fit_is_refused(family, given, message):
    weight = "bipolar1" if family is Table else "ternary"
    options: dict[str, Any] = {"act": "int8", "weight": weight, "lanes": 2} | given
    options |= {side: parse_format(options[side]) for side in ("act", "weight")}
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        family(**options)
