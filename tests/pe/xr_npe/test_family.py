"""XR-NPE: every pair of narrow codes in every slot, and every wide code, against exact integers."""

import re

import numpy as np
import pytest

from pe.base import PEError
from pe.xr_npe.family import XRNPE
from sw_ref.arith.accumulate import Accumulator, bits_for
from sw_ref.formats.catalog import parse_format
from sw_ref.interval import Interval
from tb.core import Trial, simulate_cores
from tb.draw import draw
from tests.typed import present

WIDE = parse_format("posit16_1")
PE = XRNPE(act=WIDE, weight=WIDE)

# NaR, both ends of what is finite, 0, and +-1 with their neighbours; of 16 bits
CORNERS = np.array([0x8000, 0x8001, 0x7FFF, 0, 1, 0xFFFF, 0x4000, 0xC000, 0x3FFF, 0x4001, 0xBFFF, 0xC001])


class ExactTrial(Trial):
    """A trial whose sums are those of Python's integers; codes that stand for no number are 0."""

    @property
    def sums(self):
        units = [(exact_units(mode.act), exact_units(mode.weight)) for mode in PE.modes]
        sums = []
        for step, (index, addend) in enumerate(zip(present(self.mode).tolist(), self.addend.tolist(), strict=True)):
            act, weight = units[index]
            lanes = PE.modes[index].lanes
            terms = (
                act[a] * weight[w]
                for a, w, counts in zip(
                    self.act[step, :lanes], self.weight[step, :lanes], self.mask[step, :: 4 // lanes], strict=True
                )
                if counts
            )
            sums.append(kept(addend + sum(terms), self.accumulator))
        return np.array(sums, object if self.accumulator.bits > 63 else np.int64)


def exact_units(form):
    """The value of each code in units of the last bit."""
    values = form.decode(np.arange(1 << form.bits)) * 2.0**-form.fixed.lsb
    assert (values[np.isfinite(values)] % 1 == 0).all()
    return [int(value) if np.isfinite(value) else 0 for value in values.tolist()]


def kept(exact, accumulator):
    bounds = accumulator.interval
    if accumulator.overflow == "saturate":
        return min(max(exact, bounds.lo), bounds.hi)
    return (exact - bounds.lo) % (1 << accumulator.bits) + bounds.lo


def pairs(mode, random):
    """Codes (steps, lanes) of both sides: every pair in every lane if they are narrow, else every code and corners."""
    bits, lanes = mode.act.bits, mode.lanes
    if bits <= 8:
        every = np.stack([random.permutation(1 << 2 * bits) for _lane in range(lanes)], axis=1)
        return every >> bits, every & ((1 << bits) - 1)
    every = np.stack([np.arange(1 << bits), random.permutation(1 << bits)])
    corners = np.stack(np.meshgrid(CORNERS, CORNERS)).reshape(2, -1)
    mixed = np.stack([np.resize(CORNERS, 4096), random.integers(0, 1 << bits, 4096)])
    return tuple(np.concatenate([every, corners, mixed, mixed[::-1]], axis=1)[:, :, None])


def trial(accumulator, random, most=None):
    """Steps of all modes in random order: each once with all lanes, and some again with a mask."""
    parts = []
    for index, mode in enumerate(PE.modes):
        act, weight = pairs(mode, random)
        again = random.integers(0, len(act), 1024)
        counts = np.concatenate([np.ones(act.shape, bool), random.random((1024, mode.lanes)) < 0.5])
        act, weight = (np.pad(codes, ((0, 0), (0, 4 - mode.lanes))) for codes in (act, weight))
        act, weight = (np.concatenate([codes, codes[again]]) for codes in (act, weight))
        parts.append((np.full(len(act), index), act, weight, np.repeat(counts, 4 // mode.lanes, axis=1)))
    mode, act, weight, mask = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = random.permutation(len(mode))[:most]
    room = accumulator.interval
    if accumulator.overflow == "refuse":
        room = Interval(room.lo - PE.term.lo, room.hi - PE.term.hi)
    addend = draw(random, room, len(order))
    addend[::5] = random.choice(np.array([room.lo, room.hi, 0], addend.dtype), len(addend[::5]))
    fields = {"mode": mode, "act": act, "weight": weight, "mask": mask}
    return ExactTrial(
        pe=PE, accumulator=accumulator, addend=addend, **{name: field[order] for name, field in fields.items()}
    )


@pytest.mark.long
def test_every_narrow_pair_and_every_wide_code_with_modes_that_change_every_step():
    random = np.random.default_rng(0)
    trials = [trial(Accumulator(bits_for(PE.term, 100)), random)]
    # sums that overflow, some of them in every step
    trials += [trial(sums, random, 4096) for sums in (Accumulator(20, "wrap"), Accumulator(113, "saturate"))]
    assert simulate_cores(trials).failure is None


def test_modes():
    assert [mode.name for mode in PE.modes] == [
        "posit16_1_posit16_1",
        "posit8_0_posit8_0_x2",
        "posit4_1_posit4_1_x4",
        "fp4_e2m1_fp4_e2m1_x4",
    ]
    assert PE.mode_bits == 2
    assert (PE.row_code_bits, PE.column_code_bits) == (16, 16)
    assert PE.term == Interval(-(2**112), 2**112)
    assert len(PE.row_encoder(masked=True).codes) == PE.row_code_bits
    assert len(PE.column_encoder().codes) == PE.column_code_bits


@pytest.mark.parametrize(
    ("act", "weight", "lanes", "message"),
    [
        ("posit16_1", "posit8_0", 4, "Family xr_npe takes posit16_1 x posit16_1, not posit16_1 x posit8_0"),
        ("int8", "posit16_1", 4, "Family xr_npe takes posit16_1 x posit16_1, not int8 x posit16_1"),
        ("posit16_1", "posit16_1", 2, "Family xr_npe has 4 lanes, not 2"),
    ],
)
def test_what_does_not_fit_is_refused(act, weight, lanes, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        XRNPE(act=parse_format(act), weight=parse_format(weight), lanes=lanes)
