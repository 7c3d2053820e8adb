"""Both arrays against the model: every result, bit for bit, in the cycle that the latency states."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

from dataflow.array.output_stationary import OutputStationaryArray
from dataflow.array.shape import Shape
from dataflow.array.weight_stationary import WeightStationaryArray
from hw.core.narrow import keep
from hw.core.number import Number, assign, total
from hw.core.registers import delayed
from pe.base import Core, Encoder
from pe.float.family import FloatProduct
from pe.mac import IntegerMac
from pe.packed.family import Packed
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import RoundedSum
from sw_ref.formats.base import Int
from sw_ref.formats.catalog import parse_format
from sw_ref.formats.minifloat import FP32
from tb.array import Tile, simulate_array, timetable_of
from tb.core import simulate_cores, trial_of
from tb.streams import pack, unpack
from tests.quick import few
from tests.typed import present

ARRAYS = [OutputStationaryArray, WeightStationaryArray]


@dataclass(frozen=True, kw_only=True)
class Registered(IntegerMac):
    """Registers wherever the contract has room for them: 2 for the rows, 1 for the columns, 1 in the core."""

    family: ClassVar[str] = "registered"

    @property
    def latency(self):
        return 1

    def row_encoder(self, *, masked):
        return _SlowCodes(bits=self.act.bits, lanes=self.lanes, masked=masked, cycles=2)

    def column_encoder(self):
        return _SlowCodes(bits=self.weight.bits, lanes=self.lanes, masked=False, cycles=1)

    def core(self, accumulator):
        return _SlowCore(pe=self, accumulator=accumulator)


class _SlowCodes(Encoder):
    def __init__(self, *, bits: int, lanes: int, masked: bool, cycles: int) -> None:
        self.latency = cycles
        super().__init__(bits=bits, lanes=lanes, operand_bits=lanes * bits, masked=masked)

    @property
    def name(self) -> str:
        return f"codes_{self.lanes}x{self.bits}_{self.latency}_late{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        codes = self.codes
        if self.masked:
            codes = codes & Cat(self.mask[lane].replicate(self.bits) for lane in range(self.lanes))
        m.d.comb += self.operand.eq(delayed(m, codes, self.latency, name="codes"))
        return m


class _SlowCore(Core):
    def circuit(self, platform: object) -> Module:
        m = Module()
        pe = self.pe
        lanes = [
            (self.act.word_select(i, pe.act.bits), self.weight.word_select(i, pe.weight.bits)) for i in range(pe.lanes)
        ]
        dot = total(Number(a.as_signed()) * Number(w.as_signed()) for a, w in lanes)
        late = Number(delayed(m, dot.value, 1, name="dot"), dot.interval)
        kept = keep(Number(self.addend.as_signed()) + late, self.accumulator)
        m.d.comb += assign(self.sum.as_signed(), kept)
        return m


SMALL = IntegerMac(act=Int(3), weight=Int(2))
TWO_LANES = IntegerMac(act=Int(4, signed=False), weight=Int(3), lanes=2)
SLOW = Registered(act=Int(3), weight=Int(2), lanes=2)


def floats_in_turn(interleave, **options):
    """Cells with so many sums, all of them exact, whatever their order: of small integers."""
    form = parse_format("fp4_e2m1")
    return FloatProduct(act=form, weight=form, interleave=interleave, **options)


def tiles_for(array, count, random):
    """Random tiles, of every size that the array takes."""
    pe, shape = array.pe, array.shape
    streams_rows = isinstance(array, WeightStationaryArray)
    tiles = []
    for _ in range(count):
        depth = random.integers(1, shape.rows * pe.lanes if streams_rows else 3 * shape.rows, endpoint=True)
        rows = random.integers(1, 9) if streams_rows else shape.rows * pe.interleave
        act = random.integers(0, 1 << pe.act.bits, (rows, depth))
        weight = random.integers(0, 1 << pe.weight.bits, (depth, shape.cols))
        base = None
        if streams_rows:
            room = array.accumulator.interval
            # half of the range leaves room for a product, where the accumulator must not overflow
            part = 2 if array.accumulator.overflow == "refuse" else 1
            base = random.integers(room.lo // part, room.hi // part, (rows, shape.cols), endpoint=True)
        tiles.append(Tile(act=act, weight=weight, base=base))
    return tiles


CASES = [
    (SMALL, Shape(rows=4, cols=4), Accumulator(5, "saturate")),
    (SMALL, Shape(rows=4, cols=4, tile_rows=2, tile_cols=2), Accumulator(24)),
    (TWO_LANES, Shape(rows=4, cols=4, tile_rows=4, tile_cols=2), Accumulator(6, "saturate")),
    (SMALL, Shape(rows=17, cols=2), Accumulator(24)),
]
# Several products in one multiplier: only output-stationary.
INT4: dict[str, Any] = {"act": Int(4), "weight": Int(4)}
INT8: dict[str, Any] = {"act": Int(8), "weight": Int(8)}
PACKED = [
    (Packed(**INT4), Shape(rows=2, cols=2, tile_rows=2, tile_cols=2), Accumulator(16)),
    (Packed(**INT4, pipeline=2), Shape(rows=12, cols=8, tile_rows=4, tile_cols=2), Accumulator(17, "wrap")),
    (Packed(**INT4, pipeline=1), Shape(rows=18, cols=4, tile_rows=2, tile_cols=4), Accumulator(9, "wrap")),
    (Packed(**INT4, pipeline=2, multiplier="18x18"), Shape(rows=3, cols=4, tile_cols=2), Accumulator(20)),
    (Packed(**INT8, pipeline=2), Shape(rows=5, cols=6, tile_cols=2), Accumulator(32)),
    (Packed(**INT8, multiplier="27x18"), Shape(rows=4, cols=4, tile_rows=2, tile_cols=4), Accumulator(40)),
    (
        Packed(
            act=Int(4),
            weight=Int(8),
        ),
        Shape(rows=4, cols=2, tile_rows=2),
        Accumulator(14, "wrap"),
    ),
    (
        Packed(act=Int(2), weight=Int(2, signed=False), pipeline=1),
        Shape(rows=4, cols=8, tile_rows=2, tile_cols=4),
        Accumulator(12),
    ),
    (
        Packed(act=Int(1, signed=False), weight=Int(1), multiplier="18x18"),
        Shape(rows=2, cols=4, tile_rows=2, tile_cols=4),
        Accumulator(4, "wrap"),
    ),
]
RUNS = [(kind, *case) for kind in ARRAYS for case in CASES] + [(OutputStationaryArray, *case) for case in PACKED]


def named(kind, pe, shape, accumulator):
    return f"{kind.__name__}_{pe.name_with(accumulator)}_{shape.name}"


@pytest.mark.parametrize(("kind", "pe", "shape", "accumulator"), few(RUNS, 5), ids=[named(*run) for run in RUNS])
def test_results_are_the_models_at_the_stated_latency(kind, pe, shape, accumulator):
    array = kind(pe=pe, shape=shape, accumulator=accumulator)
    tiles = tiles_for(array, 40, np.random.default_rng(0))
    assert simulate_array(array, tiles).failure is None
    assert simulate_array(array, tiles, gaps=0.4, seed=1).failure is None


RESETS = [run for run in RUNS if run[1:] in CASES[1:4:2]] + RUNS[-len(PACKED) :: 4]


@pytest.mark.parametrize(("kind", "pe", "shape", "accumulator"), few(RESETS, 3), ids=[named(*run) for run in RESETS])
def test_nothing_of_before_a_reset_reaches_the_results_after_it(kind, pe, shape, accumulator):
    array = kind(pe=pe, shape=shape, accumulator=accumulator)
    random = np.random.default_rng(0)
    tiles = tiles_for(array, 60, random)
    for cycles, tile in enumerate(tiles[::3]):
        # one product for each result: as soon after the reset as can be
        tiles[3 * cycles] = Tile(
            act=tile.act[:, :1],
            weight=tile.weight[:1],
            base=tile.base,
            abandon_after=cycles if cycles % 2 else None,
        )
    for cycles in range(20):
        tile = tiles[3 * cycles + 2]
        tiles[3 * cycles + 2] = Tile(act=tile.act, weight=tile.weight, base=tile.base, abandon_after=cycles)
    assert simulate_array(array, tiles).failure is None


IN_TURN = [
    (floats_in_turn(3), Shape(rows=2, cols=3)),
    (floats_in_turn(4, pipeline=2, lanes=2), Shape(rows=5, cols=4, tile_cols=2)),
    (floats_in_turn(7, pipeline=1), Shape(rows=1, cols=2)),
]


@pytest.mark.parametrize(("pe", "shape"), few(IN_TURN, 2), ids=[f"{pe.name}_{shape.name}" for pe, shape in IN_TURN])
def test_cells_that_keep_several_sums_keep_them_apart(pe, shape):
    array = OutputStationaryArray(pe=pe, shape=shape, accumulator=RoundedSum(FP32))
    random = np.random.default_rng(2)
    tiles = tiles_for(array, 20, random)
    assert simulate_array(array, tiles, gaps=0.3, seed=1).failure is None
    # and nothing of before a reset reaches the results after it
    for cycles in range(0, 20, 2):
        tile = tiles[cycles]
        tiles[cycles] = Tile(act=tile.act, weight=tile.weight, abandon_after=cycles)
    assert simulate_array(array, tiles).failure is None


def test_cells_that_keep_several_sums_take_tiles_of_one_row():
    with pytest.raises(ValueError, match=r"^Array tile_rows must be 1 for cells that keep several sums, not 2$"):
        OutputStationaryArray(
            pe=floats_in_turn(2), shape=Shape(rows=2, cols=2, tile_rows=2), accumulator=RoundedSum(FP32)
        )


def test_registered_element_keeps_the_contract_by_itself():
    trial = trial_of(SLOW, Accumulator(7, "saturate"), random=np.random.default_rng(0))
    other = trial_of(SMALL, Accumulator(7, "saturate"), random=np.random.default_rng(0))
    assert simulate_cores([trial, other]).failure is None


@pytest.mark.parametrize(
    ("kind", "latencies"),
    [(OutputStationaryArray, [3, 7, 6, 4, 4, 7]), (WeightStationaryArray, [3, 7, 9, 5, 7, 11])],
)
def test_latency(kind, latencies):
    shapes = [(1, 1, 1, 1), (1, 5, 1, 1), (4, 4, 1, 1), (4, 4, 2, 2), (4, 4, 1, 2), (5, 2, 1, 1)]
    elements = [SMALL] * 5 + [SLOW]
    for pe, sizes, latency in zip(elements, shapes, latencies, strict=True):
        shape = Shape(**dict(zip(("rows", "cols", "tile_rows", "tile_cols"), sizes, strict=True)))
        assert kind(pe=pe, shape=shape, accumulator=Accumulator(24)).latency == latency


class LateOutputStationary(OutputStationaryArray):
    """States a latency of one cycle too many."""

    @property
    def latency(self):
        return super().latency + 1


class LateWeightStationary(WeightStationaryArray):
    """States a latency of one cycle too many."""

    @property
    def latency(self):
        return super().latency + 1


@pytest.mark.parametrize("kind", [LateOutputStationary, LateWeightStationary])
def test_wrong_latency_is_found(kind):
    array = kind(pe=SMALL, shape=Shape(rows=4, cols=4), accumulator=Accumulator(5, "saturate"))
    failure = present(simulate_array(array, tiles_for(array, 10, np.random.default_rng(0))).failure)
    assert re.match(r"result: \d+ of \d+ values differ, the first in cycle \d+, slot \d: -?\d+, not -?\d+", failure)


def simulate_in_amaranth(array, table):
    """What comes out of an array in each cycle, in Amaranth's own simulator."""
    bits = table.bits(array)
    ports = {port: value for port, (value, flow) in array.ports().items() if flow == In}
    rst, seen = Signal(), []

    async def bench(ctx):
        for cycle, reset in enumerate(table.reset):
            ctx.set(rst, int(reset))
            for port, value in ports.items():
                (word,) = pack((table.inputs[port][cycle : cycle + 1], bits[port]))
                ctx.set(value, word)
            seen.append(ctx.get(array.result))
            await ctx.tick()

    simulator = Simulator(ResetInserter(rst)(array))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return unpack(seen, (array.shape.cols, bits["result"]))[0]


@pytest.mark.parametrize(
    ("pe", "shape", "accumulator"),
    [
        (SMALL, Shape(rows=1, cols=1), Accumulator(24)),
        (SMALL, Shape(rows=1, cols=5), Accumulator(4, "wrap")),
        (TWO_LANES, Shape(rows=2, cols=2), Accumulator(16)),
        (TWO_LANES, Shape(rows=3, cols=2), Accumulator(7, "saturate")),
        (SLOW, Shape(rows=5, cols=2), Accumulator(24)),
        (SLOW, Shape(rows=4, cols=4, tile_rows=2, tile_cols=2), Accumulator(24)),
        (SLOW, Shape(rows=2, cols=4, tile_rows=2, tile_cols=4), Accumulator(24)),
    ],
    ids=["1x1", "1x5", "2x2", "3x2", "slow_5x2", "slow_4x4_t2x2", "slow_2x4_t2x4"],
)
@pytest.mark.parametrize("kind", ARRAYS, ids=lambda kind: kind.__name__)
def test_array_is_a_component_of_an_amaranth_simulation(kind, pe, shape, accumulator):
    array = kind(pe=pe, shape=shape, accumulator=accumulator)
    random = np.random.default_rng(0)
    for gaps in (0.0, 0.2):
        table = timetable_of(array, tiles_for(array, 12, random), gaps=gaps, random=random)
        counted = table.counted["result"]
        assert counted.any()
        seen = simulate_in_amaranth(array, table)
        np.testing.assert_array_equal(seen[counted], table.expected["result"][counted])
