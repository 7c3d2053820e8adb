"""What sweeps measure: the figures of the functions that others call for them."""

import dataclasses

import pytest

from fpga.families import FAMILIES
from macforge.design.design import load_design
from macforge.errors import MismatchError
from macforge.measure.accuracy import accuracy
from macforge.measure.area import area, fmax_mhz
from macforge.measure.simulation import simulate
from macforge.measure.sweep import measures
from macforge.measure.sweep.measures import MEASUREMENTS
from sw_ref.engine.schedule import schedule_of

SMALL = load_design("w2a8_os").resized(2)


def measure(name, **arguments):
    return MEASUREMENTS[name].function(SMALL, **arguments)


def test_what_they_depend_on():
    assert {name: (each.axes, each.options) for name, each in MEASUREMENTS.items()} == {
        "area": (("family",), {}),
        "fmax": (("family", "seed"), {}),
        "schedule": ((), {"m": 256, "n": 256, "k": 256}),
        "sim": (("seed",), {"m": 0, "n": 0, "k": 0, "stalls": 0.0}),
        "accuracy": ((), {"sentences": 0}),
    }
    assert [name for name in FAMILIES if MEASUREMENTS["fmax"].fits(name)] == [
        name for name, family in FAMILIES.items() if family.has_pnr
    ]


def test_area():
    figures, report = measure("area", family="xc7"), area(SMALL, family="xc7", seeds=())
    assert set(figures) == set(report.to_table()) - {
        "design",
        "family",
        "fmax_mhz",
        "fmax_spread_mhz",
        "fmax_mhz_by_seed",
    }
    assert (figures["lut"], figures["lut_ratio"]) == (report.resources.lut, report.ratio)


def test_fmax():
    assert measure("fmax", family="ecp5", seed=7) == {"mhz": fmax_mhz(SMALL, family="ecp5", seeds=(7,))[7]}


def test_schedule():
    expected = schedule_of(SMALL.engine.spec, m=5, n=6, k=7)
    assert measure("schedule", m=5, n=6, k=7) == {
        "cycles": expected.cycles,
        "utilization": expected.utilization,
        "macs": 5 * 6 * 7,
    }


def test_sim():
    figures = measure("sim", seed=3, m=5, k=9)
    assert (figures["m"], figures["n"], figures["k"]) == (5, 5, 9)
    assert figures["cycles"] == figures["predicted_cycles"] == schedule_of(SMALL.engine.spec, m=5, n=5, k=9).cycles


def test_accuracy():
    figures, report = measure("accuracy", sentences=1), accuracy(SMALL, sentences=1)
    assert figures == {key: value for key, value in report.to_table().items() if key != "design"}
    assert set(MEASUREMENTS["accuracy"].columns) < set(figures)


def test_difference_from_the_model_is_no_figure(monkeypatch):
    def differs(*design, **arguments):
        return dataclasses.replace(simulate(*design, **arguments), failure="result 0 differs")

    monkeypatch.setattr(measures, "simulate", differs)
    with pytest.raises(MismatchError, match=r"^result 0 differs$"):
        measure("sim", seed=3, m=5, k=9)
