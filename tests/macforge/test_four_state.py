"""Named designs in a simulator that knows what is unknown: registers and memories start as X, results have none."""

import re

import numpy as np
import pytest

from hw.emit.verilog import emit_verilog
from macforge import design_names, load_design
from macforge.run.random_products import random_products
from tb.engine import simulate_engine
from tests.quick import few, named, some

CELLS = 2


# An X got through in sums that are floats, and in weight-stationary designs with blocks of fewer rows than the array.
FAULTY_ONCE = ["bf16_approx_norm", "bf16_fp32", "mixpe_w4a8_per_element"]

ONE_A_DATAFLOW = ["mixpe_w4a8", "w8a8_os", "w4a4_packed", "hawqv3_w8a8"]


def products_of(design, random):
    """One product along K first, which leaves most of a block unknown; then ragged sizes, and full tiles."""
    span, rows, cols = design.engine.span, design.engine.panel_rows, design.array.cols
    first = random_products(design, random, m=1, n=1, k=1, finite=True)
    ragged = random_products(design, random, m=3, n=cols + 1, k=span + 1)
    full = random_products(design, random, m=rows, n=cols, k=2 * span)
    return [*first, *ragged, *(product.under(stalls=0.3) for product in ragged), *full]


def memories_with_contents(verilog):
    """Names of memories that hold something from the beginning; an assertion fails if anything else does."""
    assert not re.findall(r"^\s*(?:output )?(?:reg|logic)\b[^;]*=.*$", verilog, re.MULTILINE)
    blocks = re.findall(r"^  initial begin\n(.*?)^  end$", verilog, re.MULTILINE | re.DOTALL)
    assert verilog.count("initial") == len(blocks)
    return {name for block in blocks for name in re.findall(r"^    (\S+?) ?\[\d+\] = ", block, re.MULTILINE)}


@pytest.mark.parametrize("name", some(design_names(), [*FAULTY_ONCE, *ONE_A_DATAFLOW].__contains__))
def test_named_design_starts_from_unknown_registers(name):
    design = load_design(name).resized(CELLS)
    verilog = emit_verilog(design.engine)
    for memory in memories_with_contents(verilog):
        # it is a table, which nothing writes
        assert not re.search(rf"{re.escape(memory)} ?\[.*\] <= ", verilog)
    products = products_of(design, np.random.default_rng(1))
    outcome, done = simulate_engine(design.engine, products, simulator="icarus")
    assert outcome.failure is None
    assert len(done) == len(products)


INTERLEAVED = [name for name in design_names() if named(name).pe.interleave > 1]


@pytest.mark.parametrize("name", few(INTERLEAVED, len(INTERLEAVED)))
def test_the_first_sums_after_a_reset_are_known(name):
    """Of all rows at once: what a cell added before is cleared in time, in each of its sums."""
    design = load_design(name).resized(CELLS)
    products = random_products(design, np.random.default_rng(1), m=design.engine.panel_rows, n=CELLS, k=1, finite=True)
    outcome, done = simulate_engine(design.engine, products, simulator="icarus")
    assert outcome.failure is None
    assert len(done) == len(products)
