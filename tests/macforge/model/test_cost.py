"""What layers of a model cost is what their hardware takes, and sums are over all layers."""

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.model.cost import model_cost, programs_of
from macforge.model.generate import DESIGNS
from macforge.model.llama import open_decoder
from macforge.run.accelerated import run_accelerator
from macforge.run.job import job_of
from tests.cycles import BEGIN_AND_END


@pytest.fixture(scope="module")
def decoder(small_decoder):
    return open_decoder(small_decoder)[0]


@pytest.fixture(scope="module")
def shared(decoder):
    found, reasons = programs_of(decoder.linear_layers, [load_design(name).resized(2) for name in DESIGNS])
    assert reasons == {}
    return found


def test_every_layer_is_in_it_once(decoder, shared):
    names = [name for one in shared for name in one.layers]
    assert sorted(names) == sorted(layer.name for layer in decoder.linear_layers)
    # two blocks: layers of four shapes, and a head of another type
    assert [(len(one.layers), one.design.name) for one in shared] == [
        *((4, DESIGNS[0]), (4, DESIGNS[0]), (4, DESIGNS[0]), (2, DESIGNS[0])),
        (1, DESIGNS[1]),
    ]


@pytest.mark.parametrize("rows", [1, 5])
def test_cycles_and_bytes_are_those_of_the_accelerator(shared, rows):
    costs = {one.shared.layers[0]: one for one in model_cost(shared, rows).layers}
    one = costs["blk.0.attn_k.weight"]
    unit, program = one.shared.design.accelerator, one.shared.program
    act = np.random.default_rng(0).normal(size=(rows, program.k))
    counters = run_accelerator(unit, job_of(program, act).products).counters
    assert one.cost.bytes == (counters["words_read"] + counters["words_written"]) * unit.bus.word_bytes
    assert one.cycles <= counters["cycles"] <= one.cycles + BEGIN_AND_END


def test_sums_are_over_all_layers(decoder, shared):
    costs = model_cost(shared, 3)
    table = costs.to_table(50.0)
    assert table["macs"] == sum(3 * layer.k * layer.n for layer in decoder.linear_layers)
    assert table["cycles"] == sum(len(one.shared.layers) * one.cycles for one in costs.layers)
    assert table["ms"] == pytest.approx(table["cycles"] / 50e3)
    assert table["rows_per_second"] == pytest.approx(3 / (table["ms"] / 1000))
    assert "ms" not in costs.to_table()


def test_a_head_is_computed_for_one_row(decoder, shared):
    name = decoder.head.name
    of_three, of_one = (model_cost(shared, rows, last_only=[name]) for rows in (3, 1))
    assert of_three.layers[-1].shared.layers == (name,)
    assert of_three.layers[-1].cost == of_one.layers[-1].cost
    assert of_three.layers[0].cost != of_one.layers[0].cost


def test_what_no_design_takes_is_told(decoder):
    found, reasons = programs_of(decoder.linear_layers, [load_design("w4a8_q4_1")])
    assert [len(one.layers) for one in found] == [4, 4, 4, 2]
    (reason,) = reasons.values()
    assert list(reasons) == ["token_embd.weight"]
    assert "takes weights of uint4, not int8" in reason


def test_what_bounds_a_layer_follows_from_the_bus(decoder):
    bounds = []
    for bits in (32, 512):
        design = load_design("w4a8_q4_1", [f"bus.data_bits={bits}"]).resized(8)
        found, _ = programs_of(decoder.linear_layers, [design])
        bounds.append({one.bound for one in model_cost(found, 1).layers})
    assert bounds == [{"bandwidth"}, {"compute"}]
