"""Other forms of a layer give the same product in real numbers, and do what their formulas say."""

from functools import partial

import numpy as np
import pytest

from sw_ref.formats.base import Int
from sw_ref.formats.minifloat import FLOATS
from sw_ref.quantize.stored import Stored
from sw_ref.quantize.uniform import Quantizer
from sw_ref.transform.channels import cross_quant, kernel_share, outlier_scale, pre_shift, smooth_quant
from sw_ref.transform.gptq import gptq
from sw_ref.transform.hadamard import hadamard_matrix, rotate
from sw_ref.transform.low_rank import low_rank
from sw_ref.transform.split import split_weights

INT4 = Quantizer(Int(4), "symmetric", "channel")


def layer(m=20, k=24, n=6, seed=0):
    """A weight, and activations of which some channels are large, one small and one 0."""
    random = np.random.default_rng(seed)
    act = random.normal(size=(m, k)) * np.exp(random.normal(size=k))
    act[:, 3], act[:, 5] = 0, act[:, 5] * 1e-6
    return random.normal(size=(k, n)).astype(np.float32), act.astype(np.float32)


def arrays(form):
    """The weights of a form, none of which is quantized."""
    assert not any(isinstance(each, Stored) for each in form.weights)
    return [np.asarray(each) for each in form.weights]


@pytest.mark.parametrize(
    "transform",
    [smooth_quant, outlier_scale, cross_quant, pre_shift, rotate, partial(rotate, block=4), split_weights],
)
def test_product_is_the_same_without_quantization(transform):
    weight, act = layer()
    form = transform(weight, act)
    given = form.before(act)
    assert given.dtype == np.float32
    assert all(each.dtype == np.float32 for each in arrays(form))
    result = form.joined([given @ each for each in arrays(form)], act)
    assert np.allclose(result, act @ weight, rtol=1e-4, atol=1e-4)


def test_scales_are_those_of_the_papers():
    weight, act = np.array([[1.0, -4], [2, 1]], np.float32), np.array([[8.0, 0.5], [-16, 1]], np.float32)
    assert smooth_quant(weight, act).weights[0] == pytest.approx(weight * np.sqrt([[16 / 4], [1 / 2]]))
    assert smooth_quant(weight, act, alpha=1.0).before(act) == pytest.approx(act / [16, 1])
    assert outlier_scale(weight, act).before(act) == pytest.approx(act / [16, 1])
    assert cross_quant(weight, act, alpha=0.5).before(act) == pytest.approx(act / [4, 1])
    shifted = pre_shift(weight, act * 1.2)
    # 19.2 is nearer to 16 than to 32, in exponents
    assert np.array_equal(arrays(shifted)[0], weight * [[16], [1]])


def test_kernel_is_what_becomes_zero():
    assert kernel_share(np.array([[0, 1, 2, 3]]), np.array([[0, 0, 2, 4]])) == pytest.approx(1 / 3)
    assert kernel_share(np.zeros((2, 2)), np.zeros((2, 2))) == 0


@pytest.mark.parametrize("size", [1, 2, 64])
def test_hadamard_matrices_are_orthogonal_to_the_bit(size):
    matrix = hadamard_matrix(size)
    assert (np.abs(matrix) == 1).all()
    assert (matrix @ matrix.T == size * np.eye(size)).all()


def test_rotations_spread_one_outlier():
    act = np.zeros((1, 64), np.float32)
    act[0, 7] = 8
    assert np.abs(rotate(np.eye(64, dtype=np.float32), act).before(act)) == pytest.approx(np.ones((1, 64)))


def test_sizes_without_a_hadamard_matrix_are_refused():
    with pytest.raises(ValueError, match=r"^Hadamard size must be a power of two, not 12$"):
        hadamard_matrix(12)
    with pytest.raises(ValueError, match=r"^Rotation block must divide K, which is 24, not be 16$"):
        rotate(*layer(), block=16)


def test_parts_of_a_split_weight_do_not_overlap_and_have_smaller_ranges():
    weight, act = layer(k=64, n=32)
    parts = arrays(split_weights(weight, act))
    assert np.array_equal(parts[0] + parts[1] + parts[2], weight)
    assert sum(np.count_nonzero(part) for part in parts) == np.count_nonzero(weight)
    spans = [np.ptp(part[part != 0]) for part in parts]
    assert max(spans) < 0.6 * np.ptp(weight)


def reals(weight):
    return INT4.quantize(weight, k_axis=0).reals()


def test_low_rank_takes_up_what_quantization_loses():
    weight, act = layer()
    lost = [
        np.linalg.norm(weight - reals(weight) - (form.side[0] @ form.side[1] if form.side else np.inf))
        for form in (low_rank(weight, act, reals=reals, rank=rank) for rank in (0, 1, 3, 6))
    ]
    assert lost[0] == pytest.approx(np.linalg.norm(weight - reals(weight)))
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] < 1e-5


@pytest.mark.parametrize(
    "quantizer",
    [
        INT4,
        Quantizer(Int(4, signed=False), "asymmetric", "group", 8),
        Quantizer(FLOATS["fp4_e2m1"], "symmetric", "group", 10, clip_search=4),
    ],
)
def test_gptq_loses_less_of_the_product_than_rounding(quantizer):
    weight, act = layer(m=200, k=32, n=16)
    act = act @ np.random.default_rng(1).normal(size=(32, 32)).astype(np.float32)
    stored = gptq(weight, act, quantizer=quantizer).weights[0]
    assert isinstance(stored, Stored)
    rounded = quantizer.quantize(weight, k_axis=0).reals()
    assert np.linalg.norm(act @ (stored.reals() - weight)) < 0.8 * np.linalg.norm(act @ (rounded - weight))
    assert stored.factors.scale.shape == (-(-32 // (quantizer.group_size or 32)), 16)


def test_gptq_rounds_where_rows_have_nothing_to_do_with_each_other():
    weight, _act = layer()
    stored = gptq(weight, np.eye(len(weight), dtype=np.float32), quantizer=INT4).weights[0]
    assert isinstance(stored, Stored)
    assert (stored.codes == INT4.quantize(weight, k_axis=0).codes).all()


def test_gptq_without_scales_of_columns_is_refused():
    with pytest.raises(ValueError, match=r"^GPTQ must have scales of columns, or of groups of them, not one of the"):
        gptq(*layer(), quantizer=Quantizer(Int(4)))
    with pytest.raises(ValueError, match=r"^Rows must have scales of shape \(1, 6\), not \(1, 1\)$"):
        INT4.quantize_rows(np.ones((1, 6)), Quantizer(Int(4)).quantize(np.ones((2, 6)), k_axis=0))
