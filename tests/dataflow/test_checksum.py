"""Engines with check columns: they report nothing of sound cells, and every fault that is planted in one."""

import numpy as np
import pytest

from dataflow.array.shape import Shape
from dataflow.engine.tiling import Tiling
from hw.emit.verilog import emit_verilog
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import RoundedSum
from sw_ref.engine.product import expected_results
from sw_ref.formats.minifloat import FLOATS
from tb.engine import simulate_engine
from tb.lint import lint
from tb.sizes import sizes
from tests.dataflow.engine.test_engine import make_engine, product
from tests.dataflow.planted import Plant
from tests.quick import few
from tests.typed import present

CASES = {
    "plain": {},
    "lanes-groups": {"lanes": 3, "tiling": Tiling(group_size=7, max_k=40, panel_rows=5)},
    "one-column": {"shape": Shape(rows=2, cols=1)},
    "broadcast": {"shape": Shape(rows=4, cols=4, tile_rows=4, tile_cols=4)},
    "unsigned": {"act": "uint4", "weight": "uint3", "shape": Shape(rows=2, cols=5)},
    "shift-add": {"family": "shift_add", "lanes": 2, "weight": "uint5", "shape": Shape(rows=3, cols=3)},
    "codebook": {"family": "decoded", "weight": "nf4", "shape": Shape(rows=2, cols=3)},
    "minifloat": {
        "family": "decoded",
        "act": "fp8_e4m3",
        "weight": "fp4_e2m1",
        "shape": Shape(rows=2, cols=3),
        "accumulator": Accumulator(40),
    },
    "posit": {
        "family": "decoded",
        "act": "posit8_0",
        "weight": "posit8_0",
        "shape": Shape(rows=2, cols=2),
        "accumulator": Accumulator(40),
    },
    "table": {"family": "table", "weight": "bipolar2", "lanes": 4, "shape": Shape(rows=2, cols=4)},
    "ternary": {"family": "ternary_table", "weight": "ternary", "lanes": 2, "shape": Shape(rows=2, cols=3)},
}


def checked(dataflow, checksum, *, shape=None, **how):
    shape = shape or Shape(rows=4, cols=3)
    sides = {name: getattr(shape, name) for name in ("rows", "cols", "tile_rows", "tile_cols")}
    return make_engine(dataflow, shape=Shape(**sides, checksum=checksum), **how)


ALL = [
    (case, dataflow, checksum)
    for case in CASES
    for dataflow in ("output_stationary", "weight_stationary")
    for checksum in ("detect", "correct")
]


@pytest.mark.parametrize(("case", "dataflow", "checksum"), few(ALL, 7))
def test_sound_cells_are_left_alone(case, dataflow, checksum):
    """Under any stalls and after resets: the bench holds results, cycles, and the faults that are none."""
    engine = checked(dataflow, checksum, **CASES[case])
    random = np.random.default_rng(1)
    products = [product(engine, random, *size) for size in sizes(engine.spec)]
    for stalls in (0.1, 0.5):
        for index, size in enumerate(sizes(engine.spec)[::3]):
            products.append(product(engine, random, *size, abandon_after=7 * index + 3).under(stalls))
            products.append(product(engine, random, *size).under(stalls))
    outcome, done = simulate_engine(engine, products)
    assert outcome.failure is None
    assert outcome.figures["faults"][""] == dict.fromkeys(present(engine.verdict).flags, 0)
    for simulation in done[: len(sizes(engine.spec))]:
        assert simulation.cycles == simulation.schedule.cycles


@pytest.mark.parametrize(("case", "dataflow", "checksum"), few(ALL, 9))
def test_verilog_is_clean(case, dataflow, checksum):
    """Of short and long delays, and of products of one row of partial products or of several."""
    engine = checked(dataflow, checksum, **CASES[case])
    assert lint(emit_verilog(engine), engine.name) == ""


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary"])
def test_latency_is_what_correcting_takes(dataflow):
    """To detect costs no cycle in an array of some size; results wait for what corrects them, as the formula says."""
    how = {"shape": Shape(rows=8, cols=8), "options": {"pipeline": 2}}
    plain, detects, corrects = (checked(dataflow, checksum, **how) for checksum in ("none", "detect", "correct"))
    assert detects.latency == plain.latency
    # weighted sums of eight columns, residues and their signs, four bits of a column's number, the correction
    judged = 5 + 2 + 4 + 2
    assert corrects.latency == plain.latency - plain.array.latency + corrects.array.latency + judged
    assert corrects.array.latency <= plain.array.latency + 1


def test_sums_that_wrap_are_held_against_check_sums_that_do():
    """A narrow accumulator with detection: sums go round, and nothing is reported."""
    engine = checked("output_stationary", "detect", accumulator=Accumulator(9, "wrap"))
    outcome, _done = simulate_engine(engine, [product(engine, np.random.default_rng(3), 9, 7, 40)])
    assert outcome.failure is None


# A cycle in which the register of every cell holds a part of some sum.
AFTER = {"output_stationary": 26, "weight_stationary": 24}
SMALL = {"shape": Shape(rows=3, cols=3), "tiling": Tiling(max_k=40, panel_rows=14), "options": {"pipeline": 1}}


@pytest.mark.parametrize("checksum", ["detect", "correct"])
@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary"])
def test_every_flipped_bit_of_every_cell_is_found(dataflow, checksum):
    """One in each of many products: each is reported once, spoils one result, and is put right where it can be."""
    engine = checked(dataflow, checksum, **SMALL)
    random, plant = np.random.default_rng(2), Plant(engine, after=AFTER[dataflow])
    products = [product(engine, random, engine.panel_rows, 3, 32) for _ in range(plant.count)]
    outcome, done = simulate_engine(engine, products, planted=plant)
    assert len(done) == plant.count
    faults = outcome.figures["faults"][""]
    wrong = [
        int((one.results != expected_results(engine.spec, given)).sum())
        for one, given in zip(done, products, strict=True)
    ]
    if checksum == "detect":
        assert faults == {"fault": plant.count}
        assert wrong == [1] * plant.count
    else:
        assert outcome.failure is None
        assert faults == {"fault": plant.count, "corrected": plant.count}
        assert wrong == [0] * plant.count


@pytest.mark.parametrize(
    "how, message",
    [
        (
            {"accumulator": Accumulator(20, "saturate"), "checksum": "detect"},
            r"^Array checksum must be none for sums that saturate, not detect$",
        ),
        (
            {"accumulator": Accumulator(20, "wrap"), "checksum": "correct"},
            r"^Array checksum must be none or detect for sums that wrap, and hide how wrong they are, not correct$",
        ),
        (
            {"family": "table", "weight": "bipolar1", "lanes": 8, "options": {"k": 4, "table_bits": 8}},
            r"^Array checksum must be none for table_int8_bipolar1_x8\w*, whose products are rounded, not detect$",
        ),
        (
            {"family": "float", "act": "fp16", "weight": "fp16", "accumulator": RoundedSum(FLOATS["fp32"])},
            r"^Array checksum must be none for sums as \w+, which are rounded, not detect$",
        ),
        (
            {"family": "sub_word", "act": "int8", "weight": "int8", "lanes": 4},
            r"^Array checksum must be none for sub_word\w*, which has several modes, not detect$",
        ),
    ],
)
def test_what_check_sums_cannot_follow_is_refused(how, message):
    how = dict(how)
    with pytest.raises(ValueError, match=message):
        checked("output_stationary", how.pop("checksum", "detect"), **how)
