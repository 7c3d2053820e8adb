"""Products against Python integers, a scalar model of the accumulator, and ONNX Runtime."""

import itertools
import re
import time
from dataclasses import dataclass

import numpy as np
import pytest
from onnx import helper

from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.gemm import gemm
from sw_ref.arith.matmul import exact_matmul
from sw_ref.formats.base import FixedPoint, Format, Int
from sw_ref.interval import Interval


def python_matmul(a, w):
    """By Python's unbounded integers."""
    return np.asarray(a).astype(object) @ np.asarray(w).astype(object)


WIDTHS_AND_DEPTHS = [
    (a_bits, w_bits, depth)
    for a_bits in (1, 4, 8, 16, 17, 27, 32, 40, 54)
    for w_bits in (1, 4, 8, 16, 27, 32)
    for depth in (1, 5, 300)
    if a_bits + w_bits + depth.bit_length() <= 62
]


@pytest.mark.parametrize(("a_bits", "w_bits", "depth"), WIDTHS_AND_DEPTHS)
def test_exact_matmul_equals_python_integers(a_bits, w_bits, depth):
    random = np.random.default_rng([a_bits, w_bits, depth])
    a = random.integers(-(1 << a_bits), 1 << a_bits, (4, depth))
    w = random.integers(-(1 << w_bits), 1 << w_bits, (depth, 3))
    a[0], w[:, 0] = -(1 << a_bits), -(1 << w_bits)
    product = exact_matmul(a, w)
    assert product.dtype == np.int64
    assert (product == python_matmul(a, w)).all()


@pytest.mark.parametrize(("a_bits", "w_bits", "depth"), [(31, 31, 2), (57, 57, 384), (63, 63, 5), (63, 1, 300)])
def test_exact_matmul_beyond_int64(a_bits, w_bits, depth):
    random = np.random.default_rng([a_bits, w_bits, depth])
    low, high = ([-(1 << bits), (1 << bits) - 1] for bits in (a_bits, w_bits))
    a, w = (random.integers(lo, hi, size, endpoint=True) for (lo, hi), size in ((low, (4, depth)), (high, (depth, 3))))
    a[0], w[:, 0], a[1], w[:, 1] = low[0], high[0], low[1], high[1]
    product = exact_matmul(a, w)
    assert product.dtype == object
    assert {type(x) for x in product.ravel()} == {int}
    assert (product == python_matmul(a, w)).all()


def test_exact_matmul_beyond_int64_is_fast():
    """16 x 384 x 1536 with 57-bit operands: all of it in float64, but for putting the parts together."""
    random = np.random.default_rng(0)
    a, w = random.integers(-(1 << 56), 1 << 56, (16, 384)), random.integers(-(1 << 56), 1 << 56, (384, 1536))
    start = time.process_time()
    product = exact_matmul(a, w)
    assert time.process_time() - start < 3
    assert (product[:, ::512] == python_matmul(a, w[:, ::512])).all()


@pytest.mark.parametrize("bits", [24, 53])
@pytest.mark.parametrize("extra", [-1, 0, 1, 2, 3])
def test_exact_matmul_around_the_float_bounds(bits, extra):
    # sums of 2**bits + extra, odd ones among them, where a float of that many bits loses the last one
    for parts in (1, 2, 64):
        a = np.full((1, parts), (1 << bits) // parts)
        a[0, 0] += extra
        for sign in (1, -1):
            assert exact_matmul(sign * a, np.ones((parts, 1), int)) == sign * ((1 << bits) + extra)
    a = np.array([[1 << bits // 2, 1]])
    w = np.array([[1 << bits - bits // 2], [extra]])
    assert exact_matmul(a, w) == (1 << bits) + extra


def test_exact_matmul_at_the_ends_of_int64():
    lo, hi = -(1 << 63), (1 << 63) - 1
    np.testing.assert_array_equal(exact_matmul([[lo], [hi]], [[1]]), [[lo], [hi]])
    np.testing.assert_array_equal(exact_matmul([[-1]], [[hi]]), [[-hi]])
    np.testing.assert_array_equal(exact_matmul([[lo]], [[0]]), [[0]])
    assert exact_matmul([[3037000499]], [[3037000499]]) == 3037000499**2


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint64"])
def test_exact_matmul_takes_narrow_arrays_without_overflow(dtype):
    top = min(np.iinfo(dtype).max, 2**28)
    a, w = np.full((2, 100), top, dtype=dtype), np.full((100, 2), top, dtype=dtype)
    np.testing.assert_array_equal(exact_matmul(a, w), np.full((2, 2), 100 * top * top))


def test_exact_matmul_of_nothing():
    assert exact_matmul(np.zeros((2, 0), int), np.zeros((0, 3), int)).tolist() == [[0] * 3] * 2
    assert exact_matmul(np.zeros((0, 2), int), np.zeros((2, 3), int)).shape == (0, 3)


@pytest.mark.parametrize("a_type", ["int8", "uint8"])
@pytest.mark.parametrize("w_type", ["int8", "uint8"])
def test_gemm_equals_onnx_matmul_integer(a_type, w_type, onnx_run):
    random = np.random.default_rng(0)
    a = (random.integers(0, 256, (7, 200)) + np.iinfo(a_type).min).astype(a_type)
    w = (random.integers(0, 256, (200, 9)) + np.iinfo(w_type).min).astype(w_type)
    if (a_type, w_type) == ("uint8", "int8"):
        # on processors without VNNI, ONNX Runtime saturates sums of two such products at 16 bits
        w >>= 1
    (expected,) = onnx_run([helper.make_node("MatMulInteger", ["a", "w"], ["y"])], {"a": a, "w": w}, ["y"])
    act, weight = Int(8, a_type == "int8"), Int(8, w_type == "int8")
    codes = act.from_values(a), weight.from_values(w)
    sums = gemm(*codes, act=act, weight=weight, accumulator=Accumulator(32))
    np.testing.assert_array_equal(sums, expected[None])


def accumulate_by_hand(a, w, *, bits, overflow, group_size, step):
    """One output, product by product, in Python integers."""
    lo, hi = -(1 << bits - 1), (1 << bits - 1) - 1
    sums = []
    for start in range(0, len(a), group_size or len(a)):
        group = range(start, min(start + (group_size or len(a)), len(a)))
        acc = 0
        for first in group[::step]:
            acc += sum(a[k] * w[k] for k in range(first, min(first + step, group.stop)))
            acc = min(max(acc, lo), hi) if overflow == "saturate" else (acc - lo) % (1 << bits) + lo
        sums.append(acc)
    return sums


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@pytest.mark.parametrize("group_size", [0, 1, 5, 8, 100])
@pytest.mark.parametrize("step", [1, 3, 8, 50])
@pytest.mark.parametrize("bits", [8, 10, 24])
def test_gemm_accumulates_step_by_step(overflow, group_size, step, bits):
    act, weight = Int(8), Int(4)
    random = np.random.default_rng([group_size, step, bits])
    a, w = random.integers(-128, 128, (3, 37)), random.integers(-8, 8, (37, 2))
    # a row and a column that drive the sum far past the bounds and back
    a[0], w[:, 0] = 127, np.where(np.arange(37) < 20, 7, -8)
    sums = gemm(
        act.from_values(a),
        weight.from_values(w),
        act=act,
        weight=weight,
        accumulator=Accumulator(bits, overflow),
        group_size=group_size,
        step=step,
    )
    for m, n in itertools.product(range(3), range(2)):
        options = {"bits": bits, "overflow": overflow, "group_size": group_size, "step": step}
        assert sums[:, m, n].tolist() == accumulate_by_hand(a[m].tolist(), w[:, n].tolist(), **options)


def test_saturation_depends_on_order_and_step():
    fmt, saturate = Int(8), Accumulator(8, "saturate")
    weight = fmt.from_values([[1], [1], [1]])

    def total(values, step):
        return gemm(fmt.from_values([values]), weight, act=fmt, weight=fmt, accumulator=saturate, step=step).item()

    assert total([100, 100, -100], 1) == 27
    assert total([100, -100, 100], 1) == 100
    assert total([100, 100, -100], 3) == 100


def test_refuse_is_exact_or_an_error():
    fmt = Int(8)
    a, w = fmt.from_values([[127, 127, -127]]), fmt.from_values([[1], [1], [1]])
    # the first two alone would pass 8 bits, their total with the third does not
    assert gemm(a, w, act=fmt, weight=fmt, accumulator=Accumulator(8)).item() == 127
    with pytest.raises(ValueError, match=r"^sum\[0, 0\] is 254, outside the 8-bit accumulator \(-128 to 127\)$"):
        gemm(a, w, act=fmt, weight=fmt, accumulator=Accumulator(8), group_size=2)


@dataclass(frozen=True)
class Uint32(Format):
    """Wider than any family's integers."""

    bits = 32

    @property
    def name(self):
        return "uint32"

    @property
    def bounds(self):
        return 0, 2**32 - 1

    @property
    def fixed(self):
        return FixedPoint(Interval(0, 2**32 - 1), lsb=0)

    def encode(self, real):
        return np.asarray(real).astype(np.uint32)

    def decode(self, codes):
        return self.check_codes(codes).astype(np.float64)


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("bits", [62, 63, 64, 65])
def test_a_saturating_step_may_go_beyond_int64(bits, step):
    fmt, codes = Uint32(), np.full((1, 4), 2**32 - 1, dtype=np.uint32)
    options = {"act": fmt, "weight": fmt, "accumulator": Accumulator(bits, "saturate")}
    sums = gemm(codes, codes.T, **options, step=step)
    assert sums.dtype == (np.int64 if bits <= 63 else object)
    assert sums.item() == 2 ** (bits - 1) - 1


@pytest.mark.parametrize("overflow", ["refuse", "wrap", "saturate"])
@pytest.mark.parametrize("bits", [66, 67, 70, 130])
def test_gemm_accumulates_beyond_int64(overflow, bits):
    """Sums of 37 products of 32 bits take 70."""
    fmt, random = Uint32(), np.random.default_rng(bits)
    a, w = random.integers(0, 2**32, (3, 37)), random.integers(0, 2**32, (37, 2))
    a[0], w[:, 0] = 2**32 - 1, 2**32 - 1
    given = {"act": fmt, "weight": fmt, "accumulator": Accumulator(bits, overflow), "group_size": 30, "step": 3}
    if overflow == "refuse" and bits < 70:
        with pytest.raises(ValueError, match=rf"^sum\[0, 0\] is \d+, outside the {bits}-bit accumulator"):
            gemm(a, w, **given)
        return
    sums = gemm(a, w, **given)
    options = {"bits": bits, "overflow": overflow, "group_size": 30, "step": 3}
    for m, n in itertools.product(range(3), range(2)):
        assert sums[:, m, n].tolist() == accumulate_by_hand(a[m].tolist(), w[:, n].tolist(), **options)


CODES = np.zeros((2, 3), np.uint32), np.zeros((3, 4), np.uint32)
OPTIONS = {"act": Int(8), "weight": Int(4), "accumulator": Accumulator(24)}


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (
            lambda: exact_matmul(np.array([[2**63]], dtype=np.uint64), [[1]]),
            ValueError,
            "a must fit an int64, which 9223372036854775808 does not",
        ),
        (lambda: exact_matmul([[1.0]], [[1]]), TypeError, "a must be an array of integers, not of float64"),
        (lambda: exact_matmul([[1]], [[True]]), TypeError, "w must be an array of integers, not of bool"),
        (
            lambda: exact_matmul([[1, 2]], [[1]]),
            ValueError,
            "a must be (M, K) and w (K, N), not (1, 2) and (1, 1)",
        ),
        (
            lambda: exact_matmul([1], [[1]]),
            ValueError,
            "a must be (M, K) and w (K, N), not (1,) and (1, 1)",
        ),
        (
            lambda: gemm(CODES[0].T, CODES[1], **OPTIONS),
            ValueError,
            "act must be (M, K) and weight (K, N), not (3, 2) and (3, 4)",
        ),
        (lambda: gemm(*CODES, **OPTIONS, step=0), ValueError, "Step must be at least 1, not 0"),
        (
            lambda: gemm(*CODES, **OPTIONS, group_size=-1),
            ValueError,
            "Group size must be at least 1, or 0 for one group, not -1",
        ),
        (
            lambda: gemm(CODES[0][:, :0], CODES[1][:0], **OPTIONS),
            ValueError,
            "K must be at least 1, not 0",
        ),
        (
            lambda: gemm(CODES[0], CODES[1] + np.uint32(16), **OPTIONS),
            ValueError,
            "code[0, 0] is 16, outside the codes of int4 (0 to 15)",
        ),
    ],
)
def test_bad_input_is_refused(attempt, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        attempt()
