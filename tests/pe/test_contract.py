"""Every family against the model, through one bench; and benches that must fail."""

import re
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import ClassVar

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Mux

from pe import FAMILIES
from pe.base import Codes, Core, PEError
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from tb.core import simulate_cores, trial_of
from tests.quick import some
from tests.typed import present

# Formats of both sides and lanes; with one lane and 16 bits at most, every pair of codes is tried.
OPERANDS = [
    ("int8", "int8", 1),
    ("uint8", "int8", 1),
    ("int8", "int4", 1),
    ("int4", "uint8", 1),
    ("uint4", "uint4", 1),
    ("int4", "int4", 1),
    ("int5", "int3", 1),
    ("int2", "uint6", 1),
    ("int1", "int8", 1),
    ("int8", "int1", 1),
    ("int1", "int1", 1),
    ("uint1", "int1", 1),
    ("uint1", "uint1", 1),
    ("uint1", "uint1", 6),
    ("uint1", "uint1", 64),
    ("int16", "int8", 1),
    ("int16", "int16", 1),
    ("uint16", "uint16", 1),
    ("int8", "uint2", 4),
    ("int16", "int8", 2),
    ("int1", "int7", 3),
    ("int8", "nf4", 1),
    ("uint5", "codebook[-300,7]", 1),
    ("int8", "codebook[-8,-3,0,5]", 3),
    ("fp4_e2m1", "fp4_e2m1", 1),
    ("fp6_e2m3", "fp4_e3m0", 2),
    ("fp6_e3m2", "int4", 1),
    ("bipolar1", "bipolar1", 1),
    ("bipolar1", "bipolar1", 5),
    ("bipolar1", "bipolar1", 32),
    ("int8", "bipolar1", 2),
    ("uint8", "bipolar2", 4),
    ("int1", "bipolar4", 6),
    ("int8", "int8", 4),
    ("int8", "ternary", 1),
    ("int8", "ternary", 2),
    ("uint5", "pot3", 1),
    ("int8", "pot4", 1),
    ("int8", "pot5", 2),
    ("int5", "apot5", 1),
    ("int8", "apot7", 2),
    ("uint4", "ternary", 8),
]
# Too wide for the accumulators below, and with codes that are no numbers: its sums have a test of their own.
WIDE = ("posit16_1", "posit16_1", 4)
# Some hold every sum; some are narrower than a single product.
ACCUMULATORS = [Accumulator(40), Accumulator(63), Accumulator(17, "wrap"), Accumulator(17, "saturate")] + [
    Accumulator(bits, overflow) for bits in (4, 1) for overflow in ("wrap", "saturate")
]


# Further choices of each family's options, tried on fewer operands.
OPTIONS = {
    "mac": [
        {"dsp": "auto", "pipeline": 1},
        {"lut": 4},
        {"pipeline": 2},
        {"lut": 4, "pipeline": 5},
        {"structure": "tree"},
        {"structure": "tree", "lut": 4, "pipeline": 3},
    ],
    "shift_add": [{"recoding": "csd"}, {"pipeline": 1}, {"recoding": "csd", "pipeline": 3}],
    "decoded": [{"cell": "mac"}, {"cell": "table", "pipeline": 2}, {"cell": "ternary_table"}, {"pipeline": 3}],
    "product_table": [{"lut": 4}, {"pipeline": 2}, {"lut": 4, "pipeline": 3}],
    "float": [{"pipeline": 2}, {"pipeline": 5}],
    "sub_word": [{"pipeline": 3}],
    "bit_serial": [{"lut": 4}, {"pipeline": 2}, {"lut": 4, "pipeline": 6}],
    "table": [{"k": 4}, {"k": 3, "lut": 4}, {"table_bits": 5}, {"pipeline": 1}, {"k": 4, "pipeline": 2}],
    "ternary_table": [{"k": 4, "lut": 4, "pipeline": 1}, {"pipeline": 3}],
}


def accepted(family, operands=OPERANDS, **options):
    """All processing elements of a family among ``operands``."""
    found = []
    for act, weight, lanes in operands:
        try:
            found.append(family(act=parse_format(act), weight=parse_format(weight), lanes=lanes, **options))
        except PEError:
            continue
    return found


def first_steps(trial, count):
    return replace(
        trial, **{field: getattr(trial, field)[:count] for field in ("act", "weight", "mask", "addend", "mode")}
    )


@pytest.mark.parametrize(
    "family",
    # the others have such tests of their own
    some(
        [each for name, each in FAMILIES.items() if name not in ("xr_npe", "packed")],
        lambda each: each.family not in ("mac", "shift_add", "float", "decoded", "sub_word"),
    ),
    ids=lambda each: each.family,
)
def test_core_adds_what_the_model_adds(family):
    elements = accepted(family)
    for options in OPTIONS.get(family.family, ()):
        elements += accepted(family, **options)[::3]
    assert elements
    random = np.random.default_rng(0)
    pairs = {(pe, ACCUMULATORS[index % len(ACCUMULATORS)]): None for index, pe in enumerate(elements)}
    trials = [trial_of(pe, accumulator, random=random) for pe, accumulator in pairs]
    # the last of them with all other accumulators, if not with every pair of codes again
    for accumulator in ACCUMULATORS:
        if (elements[-1], accumulator) not in pairs:
            trials.append(first_steps(trial_of(elements[-1], accumulator, random=random), 2048))
    assert simulate_cores(trials).failure is None


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_term_is_what_one_step_can_add(family):
    for pe in accepted(family, [*OPERANDS, WIDE]):
        terms = [(mode.act.fixed.interval * mode.weight.fixed.interval).sum_of(mode.lanes) for mode in pe.modes]
        assert pe.term == reduce(or_, terms)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_family_describes_itself(family):
    assert FAMILIES[family.family] is family
    assert family.summary and family.source
    pe = accepted(family, [*OPERANDS, WIDE])[0]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", pe.name)
    assert hash(pe) == hash(type(pe)(act=pe.act, weight=pe.weight, lanes=pe.lanes))
    if pe.block:
        assert pe.block.core(Accumulator(40)).name.startswith(f"{pe.family}_{pe.act.name}_{pe.weight.name}_")
        return
    # a family may put the core of another behind its encoders
    core = pe.core(Accumulator(40))
    assert core.name == f"{core.pe.name}_acc40"
    assert pe.name.endswith(core.pe.name)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
@pytest.mark.parametrize("lanes", [0, -1, 65, 1.0, True, "2", None])
def test_lanes_out_of_range_are_refused(family, lanes):
    pe = accepted(family, [*OPERANDS, WIDE])[0]
    message = f"Lanes must be an integer from 1 to 64, not {lanes!r}"
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        family(act=pe.act, weight=pe.weight, lanes=lanes)


@dataclass(frozen=True, kw_only=True)
class BrokenCore(IntegerMac):
    """Drops the carry into bit 5 of the sum."""

    family: ClassVar[str] = "broken_core"

    def core(self, accumulator):
        return _DropsCarry(pe=self, accumulator=accumulator)


class _DropsCarry(Core):
    def circuit(self, platform: object) -> Module:
        m = Module()
        product = self.act.as_signed() * self.weight.as_signed()
        low = (self.addend[:5] + product[:5])[:5]
        high = self.addend[5:].as_signed() + (product >> 5)
        m.d.comb += self.sum.eq(Cat(low, high[: len(self.sum) - 5]))
        return m


@dataclass(frozen=True, kw_only=True)
class BrokenMask(IntegerMac):
    """Ignores the mask of its highest lane."""

    family: ClassVar[str] = "broken_mask"

    def row_encoder(self, *, masked):
        return _IgnoresMask(bits=self.act.bits, lanes=self.lanes, masked=masked)


class _IgnoresMask(Codes):
    @property
    def name(self) -> str:
        return f"broken_{super().name}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        lanes = [self.codes.word_select(lane, self.bits) for lane in range(self.lanes)]
        kept = [Mux(mask, code, 0) for mask, code in zip(self.mask[:-1], lanes[:-1], strict=True)]
        m.d.comb += self.operand.eq(Cat(*kept, lanes[-1]))
        return m


@dataclass(frozen=True, kw_only=True)
class BrokenLatency(IntegerMac):
    """Has an encoder that states a cycle too many."""

    family: ClassVar[str] = "broken_latency"

    def column_encoder(self):
        return _StatesTooMuch(bits=self.weight.bits, lanes=self.lanes, masked=False)


class _StatesTooMuch(Codes):
    latency: int = 1

    @property
    def name(self) -> str:
        return f"broken_{super().name}"


def test_broken_elements_are_found():
    random = np.random.default_rng(0)
    sound = IntegerMac(act=Int(4), weight=Int(4))
    elements = [
        sound,
        BrokenCore(act=Int(4), weight=Int(4)),
        BrokenMask(act=Int(4), weight=Int(4), lanes=2),
        BrokenLatency(act=Int(4), weight=Int(4)),
    ]
    trials = [trial_of(pe, Accumulator(16, "wrap"), random=random) for pe in elements]
    failure = present(simulate_cores(trials).failure)
    for trial in trials:
        where = r"the first in cycle \d+, slot \d+: -?\d+, not -?\d+"
        found = re.search(rf"(^|; ){trial.name}_sum: \d+ of \d+ values differ, {where}(; |$)", failure)
        assert bool(found) == (trial.pe is not sound), failure


def test_sums_of_a_trial_are_those_of_the_model():
    random = np.random.default_rng(0)
    pe, accumulator = IntegerMac(act=Int(3), weight=Int(2, signed=False), lanes=2), Accumulator(5, "saturate")
    trial = trial_of(pe, accumulator, random=random)
    for act, weight, mask, addend, kept in zip(
        trial.act.tolist(),
        trial.weight.tolist(),
        trial.mask.tolist(),
        trial.addend.tolist(),
        trial.sums,
        strict=True,
    ):
        dot = sum((a - 8 * (a > 3)) * w for a, w, counts in zip(act, weight, mask, strict=True) if counts)
        assert kept == min(max(addend + dot, -16), 15)


def test_trials_of_one_core_are_refused():
    trial = trial_of(IntegerMac(act=Int(2), weight=Int(2)), Accumulator(8), random=np.random.default_rng(0))
    message = "Trials must be of different cores, not mac_int2_int2_acc8, mac_int2_int2_acc8"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        simulate_cores([trial, trial])
