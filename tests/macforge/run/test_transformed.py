"""Transformed layers compute the same in RTL and model, and come near to the layer."""

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.run.transformed import TRANSFORMS, compile_transformed, find_transform
from sw_ref.quantize.uniform import sqnr_db
from tests.quick import some

NAMES = [*TRANSFORMS, "smooth_quant+rotate+gptq", "rotate+low_rank", "rotate+split_weights", ""]


def operands(k=128, n=6, m=40):
    random = np.random.default_rng(0)
    act = random.normal(size=(m, k)) * np.exp(random.normal(size=k))
    return act.astype(np.float32), random.normal(size=(k, n)).astype(np.float32)


def of_design(name, transform):
    design, (act, weight) = load_design(name).resized(2), operands()
    return compile_transformed(design, weight, act, find_transform(transform, design.target)), act, weight


@pytest.mark.parametrize("transform", some(NAMES, ["rotate", "smooth_quant+rotate+gptq"].__contains__))
def test_rtl_is_the_model(transform):
    compiled, act, weight = of_design("w4a8_fp8", transform)
    few = act[:3]
    assert np.array_equal(compiled.product(few, engine="rtl"), compiled.product(few))
    assert sqnr_db(few @ weight, compiled.product(few)) > 12


@pytest.mark.parametrize(
    ("name", "transform", "gain"),
    [
        ("w8a8_os", "smooth_quant", 3),
        ("w8a8_os", "outlier_scale", 3),
        ("w8a8_os", "cross_quant", 3),
        ("w8a8_os", "rotate", 3),
        ("w4a8_os", "gptq", 0.4),
        ("w4a8_os", "low_rank", 2),
        ("w2a8_os", "split_weights", 2),
    ],
)
def test_layers_with_outliers_lose_less(name, transform, gain):
    """In dB, with a scale for all activations, and the weights' worth in the eight-bit ones."""
    design, (act, weight) = load_design(name, ["quantizer.act.granularity=tensor"]).resized(2), operands(m=400)
    if transform in ("gptq", "low_rank", "split_weights"):
        act = act / np.abs(act).max(axis=0)
    sqnr = [
        sqnr_db(
            act @ weight, compile_transformed(design, weight, act, find_transform(each, design.target)).product(act)
        )
        for each in ("", transform)
    ]
    assert sqnr[1] > sqnr[0] + gain


def test_unknown_transforms_and_orders_are_refused():
    target = load_design("w4a4_os").target
    with pytest.raises(ValueError, match=r"^Transform must be one of smooth_quant, .*, not 'smooth'$"):
        find_transform("smooth", target)
    act, weight = operands()
    with pytest.raises(ValueError, match=r"^Transforms that split or quantize a weight must come last$"):
        find_transform("gptq+rotate", target)(weight, act)
    with pytest.raises(ValueError, match=r"^Quantizer weight.method must be uniform or block for low_rank, not mixed$"):
        find_transform("low_rank", load_design("mixllm_w4_8a8").target)(weight, act)
