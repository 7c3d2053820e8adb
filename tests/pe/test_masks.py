"""What is masked is really masked: an operand is 0 in a lane that does not count, in sign and exponent too."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from amaranth.hdl import Module, Mux
from amaranth.lib.wiring import In, Out

from hw.core.registers import delayed
from hw.core.unit import Unit, place
from macforge import design_names
from pe.base import PE, Codes
from pe.mac import IntegerMac
from sw_ref.formats.base import Int
from tb.units import UnitTrial, simulate_units
from tests.quick import few, named
from tests.typed import present

STEPS = 500


class Beside(Unit):
    """Two encoders of a row with one mask: whether their operands are the ``same``, and 0 if the mask is (``gone``)."""

    def __init__(self, *, pe: PE) -> None:
        self.pe = pe
        self.encoder = pe.row_encoder(masked=True)
        self.latency = self.encoder.latency
        codes, mode = In(len(self.encoder.codes)), {"mode": In(pe.mode_bits)} if pe.mode_bits else {}
        super().__init__(
            {"codes": codes, "others": codes, "mask": In(pe.lanes), **mode, "same": Out(1), "gone": Out(1)}
        )

    @property
    def name(self) -> str:
        return f"beside_{self.encoder.name}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        first, second = place(m, "first", self.encoder), place(m, "second", self.pe.row_encoder(masked=True))
        for encoder, codes in ((first, self.codes), (second, self.others)):
            m.d.comb += [encoder.codes.eq(codes), encoder.mask.eq(self.mask)]
            if self.pe.mode_bits:
                m.d.comb += encoder.mode.eq(self.mode)
        some = delayed(m, self.mask.any(), self.latency, name="some")
        m.d.comb += [self.same.eq(first.operand == second.operand), self.gone.eq(some | (first.operand == 0))]
        return m


def words(bits):
    """Integers out of their bits (steps, bits), low ones first."""
    return np.array([int("".join(map(str, row[::-1])), 2) for row in bits.tolist()], object)


def trial_of(pe, random):
    """Random codes, and others that differ in masked lanes; in some steps that is all of them."""
    modes = random.integers(0, len(pe.modes), STEPS)
    codes, others = random.integers(0, 2, (2, STEPS, pe.row_code_bits))
    mask = np.zeros((STEPS, pe.lanes), int)
    for step, mode in enumerate(pe.modes[index] for index in modes):
        counts = random.random(mode.lanes) < (0.5 if step % 4 else 0)
        mask[step] = np.repeat(counts, pe.lanes // mode.lanes)
        counted = np.repeat(counts, mode.act.bits)
        others[step, : len(counted)][counted] = codes[step, : len(counted)][counted]
    inputs = {"codes": words(codes), "others": words(others), "mask": words(mask)}
    if pe.mode_bits:
        inputs["mode"] = modes
    expected = {"same": np.ones(STEPS, int), "gone": np.ones(STEPS, int)}
    return UnitTrial(unit=Beside(pe=pe), inputs=inputs, expected=expected)


@pytest.mark.parametrize("encoders_in", few([3, 1], 2))
def test_operand_shows_nothing_of_masked_codes(encoders_in):
    """Of one encoder in three, and in ``make test-all`` of all."""
    random = np.random.default_rng(0)
    elements = [named(name).pe for name in design_names()]
    encoded = {pe.row_encoder(masked=True).identity: pe for pe in elements if not pe.block}
    assert len(encoded) > 20
    assert simulate_units([trial_of(pe, random) for pe in list(encoded.values())[::encoders_in]]).failure is None


@dataclass(frozen=True, kw_only=True)
class LeavesSign(IntegerMac):
    """Masks all bits of a code but its sign, which a product with 0 hides from whoever sees only 0 and 1."""

    family: ClassVar[str] = "leaves_sign"

    def row_encoder(self, *, masked):
        return _LeavesSign(bits=self.act.bits, lanes=self.lanes, masked=masked)


class _LeavesSign(Codes):
    @property
    def name(self) -> str:
        return f"leaves_sign_{self.lanes}x{self.bits}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        for lane, counts in enumerate(self.mask):
            code, operand = (word.word_select(lane, self.bits) for word in (self.codes, self.operand))
            m.d.comb += operand.eq(Mux(counts, code, code & (1 << self.bits - 1)))
        return m


def test_a_sign_that_is_left_is_found():
    pe = LeavesSign(act=Int(4), weight=Int(4), lanes=2)
    failure = present(simulate_units([trial_of(pe, np.random.default_rng(0))]).failure)
    assert "_same: " in failure
    assert "_gone: " in failure
