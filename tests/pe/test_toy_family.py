"""A family is one class: one made up here goes through every bench, and nothing else knows of it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from amaranth.hdl import Module

from dataflow.array.output_stationary import OutputStationaryArray
from dataflow.array.shape import Shape
from dataflow.array.weight_stationary import WeightStationaryArray
from hw.core.narrow import keep
from hw.core.number import Number, assign, total
from hw.core.registers import delayed
from pe.base import PE, Codes, Core, Encoder, PEError
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from sw_ref.interval import Interval
from tb.array import Tile, simulate_array
from tb.core import simulate_cores, trial_of


@dataclass(frozen=True, kw_only=True)
class SignOnly(PE):
    """Weights are -1 and 0: ``sum = addend - sum of the activations whose weight is set``."""

    family: ClassVar[str] = "sign_only"
    summary: ClassVar[str] = "activations subtracted where the weight's bit is set"
    source: ClassVar[str] = "made up"

    def check(self) -> None:
        if self.weight != Int(1):
            raise PEError(f"Family sign_only takes weights of int1, not {self.weight.name}")

    @property
    def row_bits(self) -> int:
        return self.lanes * self.act.bits

    @property
    def column_bits(self) -> int:
        return self.lanes

    @property
    def term(self) -> Interval:
        return (self.act.fixed_form.interval * self.weight.fixed_form.interval).sum_of(self.lanes)

    def row_encoder(self, *, masked):
        return Codes(bits=self.act.bits, lanes=self.lanes, masked=masked)

    def column_encoder(self):
        return _Inverted(bits=1, lanes=self.lanes, operand_bits=self.lanes, masked=False)

    def core(self, accumulator):
        return _Subtract(pe=self, accumulator=accumulator)


class _Inverted(Encoder):
    """The complement of each code, a cycle late: encoders may take their time, and a form of their own."""

    latency = 1

    @property
    def name(self) -> str:
        return f"inverted_{self.lanes}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.operand.eq(delayed(m, ~self.codes, 1, name="inverted"))
        return m


class _Subtract(Core):
    def circuit(self, platform: object) -> Module:
        m = Module()
        lanes = [self.act.word_select(lane, self.pe.act.bits) for lane in range(self.pe.lanes)]
        gated = [act & ~idle.replicate(len(act)) for act, idle in zip(lanes, self.weight, strict=True)]
        dot = total(Number(act.as_signed()) for act in gated)
        kept = keep(Number(self.addend.as_signed()) - dot, self.accumulator)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m


PES = [SignOnly(act=Int(4), weight=Int(1)), SignOnly(act=Int(3), weight=Int(1), lanes=3)]


def test_cores():
    random = np.random.default_rng(0)
    trials = [trial_of(pe, Accumulator(bits, "saturate"), random=random) for pe in PES for bits in (3, 12)]
    assert simulate_cores(trials).failure is None


@pytest.mark.parametrize("kind", [OutputStationaryArray, WeightStationaryArray], ids=lambda kind: kind.__name__)
def test_arrays(kind):
    random = np.random.default_rng(0)
    for pe in PES:
        array = kind(pe=pe, shape=Shape(rows=3, cols=2), accumulator=Accumulator(16))
        tiles = []
        for depth in (1, 2, 3 * pe.lanes):
            act, weight = random.integers(0, 1 << pe.act.bits, (3, depth)), random.integers(0, 2, (depth, 2))
            base = np.zeros((3, 2), np.int64) if kind is WeightStationaryArray else None
            tiles.append(Tile(act=act, weight=weight, base=base))
        assert simulate_array(array, tiles, gaps=0.2).failure is None
