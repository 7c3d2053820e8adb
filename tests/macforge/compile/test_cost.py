"""Cycles and bytes of programs: counted beats of what is streamed, and what the hardware took."""

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.compile.cost import cost
from macforge.design.design import load_design
from macforge.run.accelerated import run_accelerator
from macforge.run.job import job_of
from sw_ref.engine.beats import act_payloads, parameter_payloads, weight_payloads
from tests.cycles import BEGIN_AND_END
from tests.quick import named_designs

K, N = 256, 21


def payloads(engine, product):
    """All that is streamed for a product but its command, beat by beat."""
    schedule = product.schedule(engine)
    return {
        "act": act_payloads(engine, product),
        "weight": weight_payloads(engine, product),
        **parameter_payloads(engine, schedule, product.parameters),
        "result": schedule.result_beats(np.zeros((schedule.results, schedule.m, schedule.n), int))[0],
    }


@pytest.mark.parametrize("name", named_designs())
@pytest.mark.parametrize("rows", [1, 70])
def test_bytes_are_those_of_the_beats(name, rows):
    design = load_design(name)
    random = np.random.default_rng(0)
    act, weight = random.standard_t(5, (rows, K)), random.normal(size=(K, N))
    program = compile_layer(design, weight, calibration=act)
    costs = cost(program, rows)
    engine, products = program.target.engine, job_of(program, act).products
    streamed = [payloads(engine, product) for product in products]
    assert costs.streams["command"].beats == len(products)
    for stream in streamed[0]:
        beats = sum(len(one[stream]) for one in streamed)
        assert costs.streams[stream].beats == beats
        if stream != "result":
            assert costs.streams[stream].bytes == sum(one[stream].size for one in streamed)
    assert costs.cycles == sum(product.schedule(engine).cycles for product in products)


def test_cycles_and_bytes_are_those_of_the_hardware():
    random = np.random.default_rng(0)
    act, weight = random.normal(size=(9, 128)), random.normal(size=(128, 10))
    program = compile_layer(load_design("mixllm_w4_8a8").resized(2), weight, calibration=act)
    assert len(program.parts) == 2
    costs, products = cost(program, 9), job_of(program, act).products
    unit = load_design("mixllm_w4_8a8").resized(2).accelerator
    counters = run_accelerator(unit, products).counters
    word, moved = unit.bus.word_bytes, dict(costs.memory)
    assert moved.pop("result") == counters["words_written"] * word
    assert sum(moved.values()) == counters["words_read"] * word
    assert costs.bound_cycles <= counters["cycles"] <= costs.bound_cycles + BEGIN_AND_END


def test_widths_are_those_of_the_engine():
    for name in ("mixpe_w4a8", "xr_npe", "fp8_e4m3_fp32", "hawqv3_w8a8"):
        engine = load_design(name).engine
        widths = engine.spec.stream_bits
        for stream, bits in widths.items():
            payload = getattr(engine, stream).payload
            assert len(payload.as_value() if hasattr(payload, "as_value") else payload) == bits, (name, stream)
