"""Arrays whose cells keep the sums of several rows and columns: long sums, extreme operands, and what must fail."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from amaranth.hdl import Cat, Module

from dataflow.array.output_stationary import OutputStationaryArray
from dataflow.array.shape import Shape
from dataflow.array.weight_stationary import WeightStationaryArray
from hw.core.registers import delayed
from pe.base import PEError
from pe.packed.circuits import PackedFinish
from pe.packed.family import Packed, PackedProducts
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import RoundedSum
from sw_ref.formats.base import Int
from sw_ref.formats.minifloat import FP32
from tb.array import Tile, simulate_array
from tests.quick import few
from tests.typed import present

INT4 = Packed(act=Int(4), weight=Int(4), pipeline=2)
INT8 = Packed(act=Int(8), weight=Int(8), pipeline=2)
SQUARE, FLAT = (Shape(rows=4, cols=4, tile_rows=2, tile_cols=2), Shape(rows=3, cols=4, tile_cols=2))


def extremes(array, depths, random):
    """Tiles whose operands stay at a bound for long, so that lanes wrap around again and again, up and down."""
    shape, tiles = array.shape, []
    for index, depth in enumerate(depths):
        sides = []
        for count, form in ((shape.rows, array.pe.act), (shape.cols, array.pe.weight)):
            # alternating where the chance is 1
            changes = random.random((count, depth)) < (0, 0.02, 0.2, 1)[index % 4]
            at_top = (changes.cumsum(axis=1) + random.integers(0, 2, (count, 1))) % 2
            bounds = np.array([form.interval.lo, form.interval.hi]) & ((1 << form.bits) - 1)
            sides.append(bounds[at_top])
        tiles.append(Tile(act=sides[0], weight=sides[1].T))
    return tiles


@pytest.mark.parametrize("gaps", few([0.3, 0.0], 2))
@pytest.mark.parametrize(
    ("pe", "shape", "accumulator"),
    [
        (INT8, FLAT, Accumulator(24)),
        (replace(INT8, multiplier="27x18", pipeline=0), FLAT, Accumulator(26, "wrap")),
        pytest.param(
            replace(INT8, act=Int(8, signed=False), multiplier="27x18"), FLAT, Accumulator(24), marks=pytest.mark.long
        ),
        (INT4, SQUARE, Accumulator(16)),
        pytest.param(replace(INT4, pipeline=1), SQUARE, Accumulator(12, "wrap"), marks=pytest.mark.long),
        (replace(INT4, act=Int(4, signed=False), weight=Int(4, signed=False)), SQUARE, Accumulator(18)),
        pytest.param(replace(INT4, multiplier="18x18"), FLAT, Accumulator(16), marks=pytest.mark.long),
        pytest.param(
            replace(INT4, act=Int(2), weight=Int(2)),
            Shape(rows=4, cols=8, tile_rows=2, tile_cols=4),
            Accumulator(11),
            marks=pytest.mark.long,
        ),
    ],
    ids=lambda given: getattr(given, "name", given),
)
def test_long_sums_of_extreme_operands_are_exact(pe, shape, accumulator, gaps):
    array = OutputStationaryArray(pe=pe, shape=shape, accumulator=accumulator)
    depths = [200, 1, 255, 4, 150, 4, 1, 37] * 2
    tiles = extremes(array, depths, np.random.default_rng(0))
    assert simulate_array(array, tiles, gaps=gaps, seed=1).failure is None


def test_latency():
    latencies = {(0, SQUARE): 7, (2, SQUARE): 9, (0, FLAT): 6, (1, FLAT): 7, (2, FLAT): 8}
    for (pipeline, shape), latency in latencies.items():
        pe = replace(INT4 if shape is SQUARE else INT8, pipeline=pipeline)
        assert OutputStationaryArray(pe=pe, shape=shape, accumulator=Accumulator(16)).latency == latency


@pytest.mark.parametrize(
    ("pe", "shape", "message"),
    [
        (
            INT8,
            Shape(rows=4, cols=4),
            "Array tile_cols must be a multiple of 2 for packed_int8_int8_25x18_p2, which keeps 1 x 2 sums in one "
            "place, not 1",
        ),
        (
            INT4,
            Shape(rows=3, cols=4, tile_cols=4),
            "Array tile_rows must be a multiple of 2 for packed_int4_int4_25x18_p2, which keeps 2 x 2 sums in one "
            "place, not 1",
        ),
    ],
)
def test_tiles_of_parts_of_blocks_are_refused(pe, shape, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        OutputStationaryArray(pe=pe, shape=shape, accumulator=Accumulator(16))


def test_weight_stationary_arrays_are_refused():
    message = "Dataflow must be output_stationary for packed_int8_int8_25x18_p2, which keeps its sums in the cells"
    with pytest.raises(ValueError, match=f"^{message}$"):
        WeightStationaryArray(pe=INT8, shape=FLAT, accumulator=Accumulator(24))


@pytest.mark.parametrize(
    ("accumulator", "name"), [(Accumulator(24, "saturate"), "acc24_sat"), (RoundedSum(FP32), "fp32")]
)
def test_sums_that_are_not_exact_are_refused(accumulator, name):
    message = (
        f"Accumulator must be exact, with overflow refuse or wrap, for sums of packed products, not {name}: several "
        "grow in one register"
    )
    with pytest.raises(PEError, match=f"^{message}$"):
        OutputStationaryArray(pe=INT8, shape=FLAT, accumulator=accumulator)


class Neglectful(PackedFinish):
    """Leaves in each sum what its neighbour has carried into it."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        bits, word = self.accumulator.bits, len(self.words) // self.block.cols
        sums = [self.words.word_select(column, word)[:bits] for column in range(self.block.cols)]
        m.d.comb += self.sums.eq(delayed(m, Cat(sums), 1, name="sums"))
        return m


@dataclass(frozen=True, kw_only=True)
class NeglectfulBlock(PackedProducts):
    def finish(self, accumulator):
        return Neglectful(block=self, accumulator=accumulator)


@dataclass(frozen=True, kw_only=True)
class Broken(Packed):
    kind: ClassVar[type[PackedProducts]]
    less: ClassVar[int] = 0

    @property
    def block(self):
        sound = super().block
        fields = {name: getattr(sound, name) for name in sound.__dataclass_fields__}
        return self.kind(**{**fields, "spacing": sound.spacing - self.less})


@dataclass(frozen=True, kw_only=True)
class WithoutSubtraction(Broken):
    kind = NeglectfulBlock


@dataclass(frozen=True, kw_only=True)
class WithNarrowLanes(Broken):
    """Has lanes of a bit less than it takes to see them wrap around."""

    kind = PackedProducts
    less = 1


@pytest.mark.parametrize("kind", [WithoutSubtraction, WithNarrowLanes])
def test_broken_blocks_are_found(kind):
    pe = kind(act=Int(8), weight=Int(8), pipeline=2)
    array = OutputStationaryArray(pe=pe, shape=FLAT, accumulator=Accumulator(24))
    failure = present(simulate_array(array, extremes(array, [100, 30, 30, 30], np.random.default_rng(0))).failure)
    assert re.match(r"result: \d+ of \d+ values differ, the first in cycle \d+, slot \d: -?\d+, not -?\d+", failure)
