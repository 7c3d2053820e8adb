"""Every named design, in a small array: simulated against the model, and synthesized."""

import itertools
import tomllib

import numpy as np
import pytest

from fpga.families import FAMILIES
from fpga.map.synth import synthesize
from hw.emit.verilog import emit_verilog
from macforge import area, design_names, load_design
from macforge.design.describe import derived
from macforge.design.plain import to_toml
from macforge.measure.area import fitted
from macforge.measure.workload import load_layer
from macforge.mutate.stimuli import extreme_products
from macforge.run.product import matmul
from macforge.run.random_products import random_products
from sw_ref.engine.schedule import schedule_of
from sw_ref.quantize.uniform import sqnr_db
from tb.engine import simulate_engine
from tb.lint import lint
from tb.sizes import ragged
from tests.quick import few, named, named_designs, some

CELLS = 2


def small(name):
    """The design with few cells, short panels and short groups."""
    design = load_design(name)
    # blocks are as long as their standard says
    shorter = design.tiling.group_size and design.quantizer.weight.method != "block"
    groups = ["tiling.group_size=12"] if shorter else []
    return load_design(name, ["tiling.panel_rows=4", *groups]).resized(CELLS)


@pytest.mark.parametrize("name", named_designs(quantized=False), scope="module")
def test_named_design_is_the_model_in_hardware(name):
    design = small(name)
    sizes, random = ragged(design.engine.spec), np.random.default_rng(0)
    products = [*random_products(design, random, **sizes), *extreme_products(design, random, **sizes)]
    outcome, done = simulate_engine(design.engine, [*products, *(product.under(stalls=0.3) for product in products)])
    assert outcome.failure is None
    quiet, stalled = done[: len(products)], done[len(products) :]
    assert [one.cycles for one in quiet] == [one.schedule.cycles for one in quiet]
    # a short product may lose nothing to them
    assert sum(one.cycles for one in stalled) >= sum(one.cycles for one in quiet)


@pytest.mark.parametrize("name", design_names())
def test_named_design_says_what_follows_from_it(name):
    design = load_design(name)
    table = tomllib.loads(to_toml({"derived": derived(design)}))["derived"]
    assert table["module"] == name
    assert table["accumulator_bits"] == design.sums.bits
    assert 0 < table[f"utilization_256x256x{min(256, design.tiling.max_k)}"] <= 1
    # it takes the layer of the report, which is 384 deep
    assert schedule_of(design.engine.spec, m=1, n=1, k=384).cycles > 0


@pytest.mark.parametrize("name", design_names())
def test_named_design_takes_a_real_layer(name):
    layer = load_layer(tokens=16)
    weight = layer.weight[:, :48]
    product = matmul(load_design(name), layer.act, weight, engine="ref").product
    assert sqnr_db(layer.act.astype(np.float64) @ weight, product) > 3


@pytest.mark.parametrize("name", named_designs(quantized=False), scope="module")
def test_named_design_is_clean_under_lint(name):
    engine = small(name).engine
    assert lint(emit_verilog(engine), engine.name) == ""


def families_in_turn():
    """Each design with one of the families: of headline designs and of the others, every family has some."""
    turns = {True: itertools.cycle(FAMILIES), False: itertools.cycle(reversed(list(FAMILIES)))}
    return {name: next(turns[named(name).headline]) for name in design_names()}


FAMILY_OF = families_in_turn()


HEADLINE = [name for name in FAMILY_OF if named(name).headline]
OTHERS = [name for name in FAMILY_OF if name not in HEADLINE]
# one of every other family of processing elements
FIRST = sorted({named(name).family: name for name in reversed(OTHERS)}.values())[::2]


@pytest.mark.parametrize("name", few(HEADLINE, 12))
def test_headline_design_is_synthesized_with_its_drain_edge(name):
    report = area(small(name), family=FAMILY_OF[name], seeds=())
    assert report.macs == CELLS * CELLS * report.products
    assert report.resources.size > 10
    assert report.resources.dsp == 0


@pytest.mark.parametrize("name", some(OTHERS, FIRST.__contains__))
def test_named_design_is_synthesized(name):
    design = small(name)
    array, has_dsp = fitted(design, FAMILY_OF[name]).engine.array, design.pe.uses_dsp
    mapped = synthesize(emit_verilog(array), top=array.name, family=FAMILY_OF[name], dsp=has_dsp)
    assert mapped.resources.size > 10
    assert bool(mapped.resources.dsp) == has_dsp


def test_headline_designs_are_few():
    assert 1 <= sum(named(name).headline for name in design_names()) <= 12
