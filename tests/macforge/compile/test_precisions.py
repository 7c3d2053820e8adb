"""More bits of weights in some groups of K, results with a zero point, and RBE's at every pair of precisions."""

import functools

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.compile.cost import cost
from macforge.design.design import load_design
from macforge.run.executor import run_program
from macforge.run.job import job_of
from macforge.run.product import matmul
from sw_ref.engine.product import expected_results
from tb.engine import simulate_engine
from tests.quick import few
from tests.typed import present


def operands(m=3, k=384, n=6, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(m, k)), random.normal(size=(k, n))


@pytest.mark.parametrize("engine", few(["ref", "rtl"], 2))
def test_groups_of_k_get_more_bits(engine):
    """Half of six groups have 3 bits and half have 2: the array is given 2.5 planes."""
    act, weight = operands(k=768)
    weight[:256] *= 9
    design = load_design("slim_w2_3a8").resized(4)
    program = compile_layer(design, weight)
    (part,) = program.parts
    bits = np.bincount([segment.group for segment in present(program.acts).segments])
    assert sorted(bits) == [2, 2, 2, 3, 3, 3] and bits[:2].tolist() == [3, 3]
    assert part.codes.shape == (1, 768 * 5 // 2, 6)
    result = run_program(program, act, engine=engine)
    assert engine == "ref" or present(result.cycles) >= cost(program, len(act)).bound_cycles
    plain = matmul(load_design("slim_w2_3a8", ["quantizer.weight.fraction=0"]).resized(4), act, weight, engine="ref")
    extra = result.predicted_cycles - plain.predicted_cycles
    # half of the blocks of K come once more
    assert extra == pytest.approx(plain.predicted_cycles / 2 * 0.5, rel=0.15)
    error, before = (np.linalg.norm(one.product - act @ weight) for one in (result, plain))
    assert error < 0.75 * before


def test_integers_choose_the_groups():
    random = np.random.default_rng(0)
    weight = random.choice([-3, -1, 1, 3], (256, 4))
    weight[130, 1] = 7
    act = random.integers(-100, 100, (2, 256))
    program = compile_layer(load_design("slim_w2_3a8"), weight)
    assert [segment.group for segment in present(program.acts).segments] == [0, 0, 1, 1, 1]
    np.testing.assert_allclose(run_program(program, act, engine="ref").product, act @ weight, rtol=1e-5)


@pytest.mark.parametrize("engine", few(["ref", "rtl"], 2))
@pytest.mark.parametrize("rounding", ["gemmlowp", "half_even", "floor"])
def test_results_of_one_sign_use_the_whole_format(rounding, engine):
    act, weight = np.abs(operands()[0]), np.abs(operands()[1])
    settings = ["drain.bias=false", f"drain.rounding={rounding}"]
    errors = []
    for zero in ("false", "true"):
        design = load_design("hawqv3_w8a8", [*settings, f"drain.out_zero={zero}"]).resized(2)
        program = compile_layer(design, weight, calibration=act)
        result = run_program(program, act, engine=engine)
        np.testing.assert_array_equal(result.product, run_program(program, act, engine="ref").product)
        errors.append(np.abs(result.product - act @ weight).max())
    step = (act @ weight).max() / 255
    assert errors[1] < (1.6 if rounding == "floor" else 1.1) * step
    assert errors[0] > 1.3 * errors[1]


def test_bias_that_nothing_adds_is_refused():
    _act, weight = operands()
    with pytest.raises(ValueError, match=r"^Bias must be left out for mixpe_w4a8, whose drain edge adds none$"):
        compile_layer(load_design("mixpe_w4a8"), weight, np.ones(6))


def rbe(act_bits, weight_bits):
    """RBE's engine, which is the same for all precisions, given operands of these."""
    settings = [f"quantizer.act.format=uint{act_bits}", f"quantizer.weight.format=int{weight_bits}"]
    return load_design("rbe_w4a4", [*settings, "drain.requantize=uint8"]).resized(2)


PAIRS = [(act_bits, weight_bits) for act_bits in range(2, 9) for weight_bits in range(2, 9)]


@functools.cache
def rbe_product(act_bits, weight_bits):
    """A product of integers of all values, and what RBE's formula makes of it: clip((m * acc + b) >> s)."""
    random = np.random.default_rng(act_bits * 8 + weight_bits)
    act = random.integers(0, 1 << act_bits, (4, 40))
    weight = random.integers(-(1 << weight_bits - 1), 1 << weight_bits - 1, (40, 5))
    # most sums are positive, as behind a ReLU
    weight[np.arange(40) % 4 > 0] = np.maximum(weight[np.arange(40) % 4 > 0], 0)
    bias = random.normal(size=5) * 10
    design = rbe(act_bits, weight_bits)
    program = compile_layer(design, weight, bias, calibration=act)
    (product,) = job_of(program, act).products
    given = product.parameters
    acc = (act @ weight).tolist()
    expected = [
        [
            min(max(int(x) * int(m) + int(b) >> int(s), 0), 255)
            for x, m, b, s in zip(row, given["multiplier"], given["addend"], given["shift"], strict=True)
        ]
        for row in acc
    ]
    return design, product, np.array(expected)


@pytest.mark.parametrize(("act_bits", "weight_bits"), PAIRS)
def test_rbe_truncates_at_all_49_precisions(act_bits, weight_bits):
    design, product, expected = rbe_product(act_bits, weight_bits)
    np.testing.assert_array_equal(expected_results(design.target.engine, product)[0], expected)
    assert len(np.unique(expected)) > 2


@pytest.mark.parametrize("pairs_in", few([4, 1], 2))
def test_rbe_in_hardware_at_all_49_precisions(pairs_in):
    """One netlist, one product after the other: of one pair in four, which has each precision, and all 49 for long."""
    trials = [rbe_product(*pair) for pair in PAIRS[::pairs_in]]
    engines = {design.engine.name: design.engine for design, _, _ in trials}
    assert len(engines) == 1
    (engine,) = engines.values()
    outcome, done = simulate_engine(engine, [product for _, product, _ in trials])
    assert outcome.failure is None
    for simulation, (_, _, expected) in zip(done, trials, strict=True):
        np.testing.assert_array_equal(simulation.results[0] & 255, expected)
