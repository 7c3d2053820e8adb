"""What can be measured: the figures of the functions that others call for them, and how a measurement is added."""

import dataclasses

import numpy as np
import pytest

from fpga.baseline import baseline
from fpga.families import FAMILIES
from macforge.design.design import load_design
from macforge.errors import MismatchError
from macforge.extras import EXTRAS
from macforge.measure import registry
from macforge.measure.accuracy import accuracy
from macforge.measure.area import area, fmax_mhz
from macforge.measure.registry import MEASUREMENTS, Figure, InReport, Measurement
from macforge.measure.simulation import simulate
from macforge.measure.sweep.spec import load_sweep
from macforge.measure.sweep.worker import compute
from macforge.measure.use import use_by_rows
from macforge.measure.whole import whole
from macforge.measure.workload import Layer
from macforge.report.page import write_report
from macforge.report.report import make_report
from sw_ref.engine.schedule import schedule_of

SMALL = load_design("w2a8_os").resized(2)


def measure(name, **arguments):
    return MEASUREMENTS[name].measure(SMALL, **arguments)


def test_what_they_depend_on():
    assert {name: (each.axes, each.options) for name, each in MEASUREMENTS.items()} == {
        "layer": ((), {"tokens": 0}),
        "area": (("family",), {}),
        "fmax": (("family", "seed"), {}),
        "engine": (("family",), {}),
        "accelerator": (("family",), {}),
        "engine_fmax": (("family", "seed"), {}),
        "accelerator_fmax": (("family", "seed"), {}),
        "use": ((), {"n": 576, "k": 576}),
        "schedule": ((), {"m": 256, "n": 256, "k": 256}),
        "sim": (("seed",), {"m": 0, "n": 0, "k": 0, "stalls": 0.0}),
        "accuracy": ((), {"sentences": 0, "transform": ""}),
        "perplexity": ((), {"tokens": 256, "transform": ""}),
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
        "slowest_by_seed",
    } | {"int8_size"}
    assert figures["int8_size"] == baseline(8, 8, 32, family="xc7").size
    assert (figures["lut"], figures["lut_ratio"]) == (report.resources.lut, report.ratio)


def test_fmax():
    assert measure("fmax", family="ecp5", seed=7) == {"fmax_mhz": fmax_mhz(SMALL, family="ecp5", seeds=(7,))[7]}


@pytest.mark.long
@pytest.mark.parametrize("unit", ["engine", "accelerator"])
def test_whole(unit):
    design = load_design("w2a8_os", ["tiling.max_k=64"]).resized(2)
    figures = MEASUREMENTS[unit].measure(design, family="ecp5")
    report = whole(design, family="ecp5", seeds=(2,), unit=unit)
    assert figures == report.resources.to_table(f"{unit}_")
    speed = MEASUREMENTS[f"{unit}_fmax"].measure(design, family="ecp5", seed=2)
    assert speed[f"{unit}_fmax_mhz"] == report.timing.fmax_mhz[2]
    assert report.timing.slowest[2].end in speed[f"{unit}_limit"]
    assert set(MEASUREMENTS[unit].figures) <= set(figures)
    assert set(MEASUREMENTS[f"{unit}_fmax"].figures) == set(speed)


def test_use():
    assert measure("use", n=5, k=40) == {f"use_{m}": use for m, use in use_by_rows(SMALL, n=5, k=40).items()}


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
    assert set(MEASUREMENTS["accuracy"].figures) < set(figures)


def test_difference_from_the_model_is_no_figure(monkeypatch):
    def differs(*design, **arguments):
        return dataclasses.replace(simulate(*design, **arguments), failure="result 0 differs")

    monkeypatch.setattr(registry, "simulate", differs)
    with pytest.raises(MismatchError, match=r"^result 0 differs$"):
        measure("sim", seed=3, m=5, k=9)


def test_layer():
    """The figures of the layer that is given; without one, of a layer of the model."""
    random = np.random.default_rng(0)
    act, weight = random.normal(size=(5, 12)), random.normal(size=(12, 7))
    given = Layer(name="given", act=act.astype(np.float32), weight=weight.astype(np.float32))
    figures = measure("layer", layer=given, tokens=3)
    assert set(MEASUREMENTS["layer"].figures) < set(figures)
    assert figures["verified"] is True and figures["failure"] is None
    assert (figures["tokens"], figures["products_per_mac"]) == (3, 1)
    assert figures["cycles"] == figures["predicted_cycles"] == schedule_of(SMALL.engine.spec, m=3, n=7, k=12).cycles
    assert figures["macs_per_cycle"] == 3 * 12 * 7 / figures["cycles"]
    assert figures["utilization"] == schedule_of(SMALL.engine.spec, m=3, n=7, k=12).utilization


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(EXTRAS, "model", ("no_such_package",))
    with pytest.raises(ModuleNotFoundError, match=r"^no_such_package must be installed: pip install "):
        measure("accuracy", sentences=1)


def test_keys_of_a_reports_rows_are_different():
    keys = [key for each in MEASUREMENTS.values() if each.report for key in each.reported]
    assert len(set(keys)) == len(keys)


def rows_and_columns(design, *, family: str, factor: int = 2):
    """A toy measurement."""
    return {"toy_rows": factor * design.array.rows, "toy_family": family}


class TestToy:
    """A new measurement is a function and an entry: sweeps and the report then have it."""

    @pytest.fixture(autouse=True)
    def entry(self, monkeypatch):
        toy = Measurement(
            function=rows_and_columns,
            figures={"toy_rows": Figure("toy rows", "mm", 0), "toy_family": Figure("toy family")},
            report=InReport(cells=3, figures=("toy_rows",)),
        )
        monkeypatch.setitem(MEASUREMENTS, "toy", toy)

    def test_in_a_sweep(self, tmp_path):
        (tmp_path / "toy.toml").write_text(
            'designs = ["w8a8_ws"]\nfamilies = ["ice40"]\ncells = 2\n[measure.toy]\nfactor = 5'
        )
        sweep = load_sweep(tmp_path / "toy.toml")
        (point,) = sweep.points
        assert point.options == {"factor": 5}
        assert sweep.columns["toy.toy_rows"] == "toy rows mm"
        done = compute(point.figures, point.inputs)
        assert done["figures"] == '{"toy_rows": 10, "toy_family": "ice40"}'

    def test_in_a_report(self, tmp_path):
        layer = Layer(name="given", act=np.ones((1, 1)), weight=np.ones((1, 1)))
        report = make_report([load_design("w8a8_ws")], layer, measurements=["toy"], families=["ice40"])
        assert report.failures == []
        (row,) = report.rows
        assert (row["xc7_toy_rows"], row["ecp5_toy_rows"]) == (6, 6)
        assert [size["toy_rows"] for size in report.sizes] == [6, 6, 6]
        assert row["measured"]["ice40_toy"] == {"toy_rows": 6, "toy_family": "ice40"}
        assert report.brief.keys() == {"design"} | {key for key in row if key == "product"}
        titles = [column.heading for column in report.columns if column.family]
        assert titles == ["xc7 toy rows mm", "ecp5 toy rows mm"]
        write_report(report, tmp_path)
        html = (tmp_path / "report.html").read_text()
        assert html.count('toy rows <span class="unit">mm</span>') == 3
        assert "toy_rows" in (tmp_path / "report.csv").read_text().splitlines()[0]
