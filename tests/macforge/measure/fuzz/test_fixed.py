"""Thirty designs that were drawn once: together they have all families and drain steps, and each is the model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hw.emit.verilog import emit_verilog
from macforge.design.design import design_of
from macforge.design.plain import read_toml
from macforge.measure.fuzz.operands import products_of
from pe import FAMILIES
from sw_ref.drain.steps import STEPS
from tb.engine import simulate_engines
from tb.lint import lint
from tests.quick import few

TABLES: dict[str, Any] = read_toml(Path(__file__).with_name("fixed.toml"), "Designs")
DESIGNS = [design_of(name, table) for name, table in TABLES.items()]
# What one simulator takes without much memory.
BATCH = 10


def test_all_families_and_drain_steps_are_among_them():
    assert len(DESIGNS) == 30
    assert {design.family for design in DESIGNS} == set(FAMILIES)
    assert {type(step) for design in DESIGNS for step in design.drain.steps} == set(STEPS)


@pytest.mark.parametrize("first", range(0, len(DESIGNS), BATCH))
def test_designs_are_the_model_in_hardware(first):
    """Bit for bit with operands of all distributions, in the predicted cycles."""
    engines = []
    for seed, design in enumerate(DESIGNS[first : first + BATCH], start=first):
        products = products_of(design, np.random.default_rng(seed))
        engines.append((design.engine, [*products, *(product.under(0.3) for product in products[:2])]))
    outcome, done = simulate_engines(engines)
    assert outcome.failure is None
    assert [len(each) for each in done] == [len(products) for _engine, products in engines]


@pytest.mark.parametrize("design", few(DESIGNS, 10), ids=[design.name for design in DESIGNS])
def test_designs_are_clean_under_lint(design):
    engine = design.engine
    assert lint(emit_verilog(engine), engine.name) == ""
