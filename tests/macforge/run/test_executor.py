"""Programs on activations: as often as one likes, and the same as compiling for each of them."""

import numpy as np
import pytest

from macforge.compile.compiler import compile_layer
from macforge.design.named import design_names
from macforge.run.executor import run_program
from macforge.run.product import matmul
from sw_ref.drain.steps.requantize import Requantize
from tests.cycles import takes_as_long
from tests.quick import few, named
from tests.typed import present, wrong

DESIGNS = {name: named(name) for name in design_names()}


def requantized(design):
    """The format of a design's results, if they are integers."""
    step = design.edge and design.edge.find(Requantize)
    return step and step.requantize


# scales and precisions that depend on activations
CALIBRATED = [name for name, design in DESIGNS.items() if design.quantizer.act.method == "mixed" or requantized(design)]


def operands(seed, rows=3):
    random = np.random.default_rng(seed)
    return random.standard_t(5, (rows, 40)), random.normal(size=(40, 6))


@pytest.mark.parametrize("name", [name for name in DESIGNS if name not in {*CALIBRATED, "mixllm_w4_8a8"}])
def test_weights_are_prepared_once(name):
    """What a program gives is what compiling with the activations gives."""
    _, weight = operands(0)
    program = compile_layer(DESIGNS[name], weight)
    for seed in (1, 2):
        act, _ = operands(seed)
        act *= 10.0**seed
        expected = matmul(DESIGNS[name], act, weight, engine="ref").product
        np.testing.assert_array_equal(run_program(program, act, engine="ref").product, expected)


@pytest.mark.parametrize("name", CALIBRATED)
def test_calibration_is_asked_for(name):
    _, weight = operands(0)
    with pytest.raises(ValueError, match=r"^Calibration must be given for (a bias or results in|activations of two) "):
        compile_layer(DESIGNS[name], weight)


@pytest.mark.parametrize("name", [name for name in CALIBRATED if requantized(DESIGNS[name])])
def test_scales_of_calibration_stay(name):
    act, weight = operands(0)
    interval = present(requantized(DESIGNS[name])).interval
    program = compile_layer(DESIGNS[name], weight, calibration=act)
    small = run_program(program, act / 4, engine="ref").product
    step = np.abs(act @ weight).max() / interval.hi
    # steps of the calibration's results, and results beyond them saturate
    np.testing.assert_allclose(small / step, np.rint(small / step), atol=1e-4)
    large = run_program(program, act * 50, engine="ref").product
    assert np.abs(large).max() <= 1.01 * step * -interval.lo


def test_activations_of_another_kind_than_the_calibration_are_refused():
    act, weight = operands(0)
    program = compile_layer(DESIGNS["hawqv3_w8a8"], weight, calibration=act)
    with pytest.raises(ValueError, match=r"^act must hold floats, as those of the calibration, not integers$"):
        run_program(program, np.ones((1, 40), int), engine="ref")


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (
            lambda program: run_program(program, np.ones((2, 39))),
            r"^act \(M, K\) and weight \(K, N\) must share K, ",
        ),
        (
            lambda program: run_program(program, np.ones((2, 40)), engine=wrong("tpu")),
            r"^Engine must be rtl or ref, not 'tpu'",
        ),
        (
            lambda _program: compile_layer(DESIGNS["mixpe_w4a8"], np.ones((40, 6)), calibration=np.ones((2, 3))),
            r"^act \(M, K\) and weight \(K, N\) must share K, not have shapes \(2, 3\) and \(40, 6\)$",
        ),
    ],
)
def test_what_does_not_fit_is_refused(attempt, message):
    program = compile_layer(DESIGNS["mixpe_w4a8"], operands(0)[1])
    with pytest.raises(ValueError, match=message):
        attempt(program)


@pytest.mark.parametrize("name", few(["mixllm_w4_8a8", "hawqv3_w8a8", "w8a8_os"], 3))
def test_hardware_gives_the_same(name):
    act, weight = operands(0)
    program = compile_layer(DESIGNS[name].resized(2), weight, calibration=act)
    for rows in (act, act[:1]):
        done = run_program(program, rows)
        np.testing.assert_array_equal(done.product, run_program(program, rows, engine="ref").product)
        assert takes_as_long(done)
