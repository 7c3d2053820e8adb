"""Codes of every distribution, and products of them that an engine takes."""

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.run.distributions import DISTRIBUTIONS, CodesOf
from macforge.run.raw_products import raw_products
from sw_ref.engine.product import expected_results
from sw_ref.formats.catalog import parse_format

FORMATS = ("int8", "uint4", "int1", "int20", "fixed6_3", "bipolar2", "nf4", "fp8_e4m3", "fp8_e5m2", "posit8_1", "ue5m3")


def drawn(name, form, shape=(6, 7)):
    return DISTRIBUTIONS[name](CodesOf(form), np.random.default_rng(3), shape)


@pytest.mark.parametrize("name", FORMATS)
def test_codes_are_what_their_distribution_is_called(name):
    form = parse_format(name)
    low, high = form.bounds
    values = {each: form.decode(drawn(each, form)) for each in DISTRIBUTIONS}
    assert all(each.shape == (6, 7) for each in values.values())
    assert all(np.isfinite(each).all() for each in (values[one] for one in DISTRIBUTIONS if one != "nonfinite"))
    assert set(values["lowest"].ravel()) == {low} and set(values["highest"].ravel()) == {high}
    assert set(values["extremes"].ravel()) <= {low, high} == set(values["alternating"].ravel())
    assert (values["alternating"][:, 1:] != values["alternating"][:, :-1]).all() or low == high
    assert len(set(values["zeros"].ravel())) == 1
    assert np.abs(values["zeros"]).max() <= np.abs(values["tiny"]).max() <= max(abs(low), high)
    assert np.isin(values["outlier"], [low, high]).any()


def test_tiny_numbers_are_subnormal_and_some_codes_not_finite():
    form = parse_format("fp8_e4m3")
    tiny = form.decode(drawn("tiny", form, (20, 20)))
    assert (np.abs(tiny[tiny != 0]) < 2.0**-6).any() and (tiny < 0).any() and (tiny > 0).any()
    odd = form.finite(drawn("nonfinite", form, (20, 20)))
    assert 0 < (~odd).sum() < 120
    with pytest.raises(ValueError, match=r"^Operands must have at most 16 bits, not the 32 of fp32$"):
        drawn("uniform", parse_format("fp32"))


@pytest.mark.parametrize("name", ["w8a8_os", "mixpe_w4a8", "hawqv3_w8a8", "shiftaddllm_q3a8", "xr_npe", "w4a8_q4_1"])
def test_products_are_such_as_the_model_takes(name):
    design, random = load_design(name).resized(2), np.random.default_rng(0)
    for act, weight in (("uniform", "extremes"), ("nonfinite", "outlier")):
        products = raw_products(design, random, m=3, n=4, k=20, act=act, weight=weight)
        assert [product.mode for product in products] == list(range(len(design.pe.modes)))
        for product in products:
            assert expected_results(design.engine.spec, product).size


def test_shifts_are_no_less_than_gemmlowp_takes():
    design = load_design("hawqv3_w8a8", ["drain.rounding=gemmlowp"])
    (product,) = raw_products(design, np.random.default_rng(0), m=2, n=40, k=9, act="uniform", weight="uniform")
    assert product.parameters["shift"].min() >= 31
    assert len(set(product.parameters["shift"])) > 1


def test_unknown_distributions_are_refused():
    message = r"^Distribution of act must be one of uniform, lowest, .*, not 'low'; did you mean lowest\?$"
    with pytest.raises(ValueError, match=message):
        raw_products(load_design("w8a8_os"), np.random.default_rng(0), m=1, n=1, k=1, act="low", weight="zeros")
