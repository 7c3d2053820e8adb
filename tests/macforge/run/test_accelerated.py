"""Products through accelerators: what is moved, with and without a cache of weights."""

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.errors import MismatchError
from macforge.run.accelerated import run_accelerator
from macforge.run.random_products import random_products
from sw_ref.accelerator.layout import Layout
from sw_ref.accelerator.traffic import traffic
from sw_ref.engine.product import Product

# Weights beyond the cache over several panels, within it, of one beat, and of one panel.
SIZES = [(9, 9, 40), (11, 3, 5), (5, 1, 1), (2, 9, 40)]


def cached(name, size):
    return load_design(name, [f"tiling.weight_cache={size}", "tiling.panel_rows=4"]).resized(2)


def moved(unit, products):
    words = traffic(unit.layout, [one.schedule(unit.layout.engine) for one in products])
    return {"words_read": sum(words.values()) - words["result"], "words_written": words["result"]}, words["weight"]


@pytest.mark.parametrize(
    "name, size, stalls",
    [
        ("w8a8_os", 64, 0.2),
        # beats that begin within words
        *(pytest.param("w8a8_os", size, 0.0, marks=pytest.mark.long) for size in (16, 24, 1024)),
        *(pytest.param(name, 96, 0.3, marks=pytest.mark.long) for name in ("mixpe_w4a8", "xr_npe", "mxfp6_e2m3")),
        pytest.param("hawqv3_w4a4", 96, 0.0, marks=pytest.mark.long),
    ],
)
def test_what_a_cache_keeps_is_not_read_again(name, size, stalls):
    """Results are right, the words that are moved are those of the traffic, and fewer than without a cache."""
    design, random = cached(name, size), np.random.default_rng(1)
    products = [one for m, n, k in SIZES for one in random_products(design, random, m=m, n=n, k=k)]
    unit = design.accelerator
    counters = run_accelerator(unit, products, stalls=stalls).counters
    expected, weights = moved(unit, products)
    assert {key: counters[key] for key in expected} == expected
    assert weights < moved(cached(name, 0).accelerator, products)[1]


def test_cache_that_holds_all_is_filled_once():
    design = cached("w8a8_os", 4096)
    layout = design.accelerator.layout
    product = Product(act=np.zeros((40, 30), int), weight=np.zeros((30, 8), int))
    once = Product(act=np.zeros((4, 30), int), weight=np.zeros((30, 8), int))
    assert layout == Layout(engine=design.engine.spec, bus=design.bus, weight_cache=4096)
    words = [traffic(layout, [one.schedule(layout.engine)])["weight"] for one in (product, once)]
    assert words[0] == words[1] == 30 * 8 // 8


def test_cache_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match=r"^Tiling weight_cache must be 0 or at least 16 bytes, not 8$"):
        _unit = cached("w8a8_os", 8).accelerator


def test_results_that_are_not_the_models_are_reported(monkeypatch):
    # whose simulator other tests have built
    design = cached("w8a8_os", 64)
    products = random_products(design, np.random.default_rng(1), m=2, n=2, k=3)
    monkeypatch.setattr("macforge.run.accelerated.expected_results", lambda _engine, _product: np.full((1, 2, 2), 7))
    with pytest.raises(MismatchError, match=r"^\d of 4 results differ: result of product 0\[0, 0, 0\] is .*, not 7$"):
        run_accelerator(design.accelerator, products)
