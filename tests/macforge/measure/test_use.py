"""Use is what array or bus take at least, of the cycles that the accelerator takes."""

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.design.design import load_design
from macforge.measure.use import limit_cycles, use_by_rows
from macforge.run.accelerated import run_accelerator
from macforge.run.job import job_of

SMALL = load_design("w4a8_q4_1").resized(2)


def program_of(design):
    return compile_layer(design, np.random.default_rng(0).normal(size=(64, 6)))


def test_use_is_the_limit_over_the_counted_cycles():
    random = np.random.default_rng(3)
    weight, act = random.normal(size=(64, 6)), random.normal(size=(5, 64))
    program = compile_layer(SMALL, weight)
    counters = run_accelerator(SMALL.accelerator, job_of(program, act).products).counters
    found = use_by_rows(SMALL, n=6, k=64, rows=(5,), seed=3)
    assert found == {5: limit_cycles(program, 5) / counters["cycles"]}
    assert 0.3 < found[5] < 1


@pytest.mark.parametrize("m", [1, 7])
def test_the_limit_is_the_array_or_the_bus(m):
    # w4a8_q4_1 multiplies two pairs a cycle in each of its cells
    assert limit_cycles(program_of(load_design("w4a8_q4_1", ["bus.data_bits=512"]).resized(2)), m) >= m * 64 * 6 / 8
    narrow = program_of(load_design("w4a8_q4_1", ["bus.data_bits=32"]).resized(8))
    # half a byte a weight is the least that is read
    assert limit_cycles(narrow, m) > 64 * 6 / 2 / 4


def test_a_design_without_an_accelerator_is_refused():
    with pytest.raises(ValueError, match=r"^Bus data_bits must divide, .* the 96 bits of 3 results, "):
        use_by_rows(load_design("w4a8_q4_1", ["array.cols=3"]), n=6, k=64)
