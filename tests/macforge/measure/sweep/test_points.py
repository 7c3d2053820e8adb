"""Points of sweeps: which there are, in what order, and when two are the same."""

import json

import pytest

from hw.core.digest import digest
from macforge.measure.registry import MEASUREMENTS
from macforge.measure.sweep import points
from macforge.measure.sweep.spec import load_sweep
from macforge.provenance import made_by

MINE = """
family = "mac"
act = "int8"
weight = "int4"
lanes = {lanes}
summary = "{summary}"
array = {{rows = 2, cols = 2}}
"""


@pytest.fixture
def load(tmp_path):
    """Of a text, and files beside it."""

    def call(text, **files):
        for name, content in files.items():
            (tmp_path / f"{name}.toml").write_text(content)
        path = tmp_path / "asked.toml"
        path.write_text(text)
        return load_sweep(path)

    return call


def test_rows_have_the_axes_that_their_figures_depend_on(load):
    text = 'designs = ["w4a8_os", "w4a8_ws"]\nfamilies = ["xc7", "ecp5"]\nseeds = [3, 1]\nset.lanes = [1, 2]\n'
    sweep = load(text + "[measure.fmax]\n[measure.area]\n[measure.schedule]\n")
    labels = [(row.design, row.settings["lanes"], row.family, row.seed, tuple(row.points)) for row in sweep.rows]
    # no place and route on xc7, so no seeds
    one = [
        ("xc7", None, ("area", "schedule")),
        ("ecp5", 3, ("fmax", "area", "schedule")),
        ("ecp5", 1, ("fmax", "area", "schedule")),
    ]
    assert labels == [(name, lanes, *each) for name in ("w4a8_os", "w4a8_ws") for lanes in (1, 2) for each in one]
    assert sweep.rows[-1].label == "w4a8_ws lanes=2 ecp5 seed 1"
    kinds = [(point.measure, point.family, point.seed) for point in sweep.points]
    assert kinds == [
        *[("fmax", "ecp5", 3)] * 4,
        *[("fmax", "ecp5", 1)] * 4,
        *[("area", "xc7", None), ("area", "ecp5", None)] * 4,
        *[("schedule", None, None)] * 4,
    ]
    assert list(sweep.columns) == [
        *("design", "set.lanes", "family", "seed", "fmax.fmax_mhz"),
        *(f"area.{key}" for key in MEASUREMENTS["area"].figures),
        *("schedule.cycles", "schedule.utilization", "failed"),
    ]


@pytest.mark.parametrize(
    "measure, rows",
    [("schedule", [(None, None)]), ("sim", [(None, 1), (None, 2)]), ("area", [("xc7", None), ("ecp5", None)])],
)
def test_axes_that_nothing_depends_on_are_left_out(load, measure, rows):
    sweep = load(f'designs = ["w4a8_os"]\nfamilies = ["xc7", "ecp5"]\nseeds = [1, 2]\n[measure.{measure}]')
    assert [(row.family, row.seed) for row in sweep.rows] == rows


def test_rows_without_any_figure_are_left_out(load):
    sweep = load('designs = ["w4a8_os"]\nfamilies = ["xc7", "ecp5"]\n[measure.fmax]')
    assert [row.family for row in sweep.rows] == ["ecp5"]


def test_what_is_the_same_is_one_point(load):
    files = {"one": MINE.format(lanes=1, summary="one"), "two": MINE.format(lanes=2, summary="two")}
    text = 'designs = ["one.toml", "two.toml"]\nfamilies = ["xc7"]\n[[set]]\n[[set]]\nlanes = [1, 2]'
    sweep = load(text, **files)
    keys = [row.points["area"].key for row in sweep.rows]
    assert len(keys) == 6
    one, two = keys[0], keys[3]
    assert one != two
    assert keys == [one, one, two, two, one, two]
    assert [point.key for point in sweep.points] == [one, two]


def test_key_is_the_digest_of_plain_inputs(load):
    (point,) = load('designs = ["mxfp4"]\nfamilies = ["xc7"]\ncells = 4').points
    inputs = json.loads(json.dumps(point.inputs))
    assert digest(inputs) == point.key
    assert (inputs["measure"], inputs["family"], inputs["seed"], inputs["cells"]) == ("area", "xc7", None, 4)
    assert inputs["made_by"] == made_by()
    assert inputs["design"]["quantizer"]["act"]["method"] == "block"
    assert "name" not in inputs["design"]


def test_only_points_of_a_changed_design_are_new(load):
    text = 'designs = ["one.toml", "two.toml"]\nfamilies = ["xc7"]'

    def keys(**changes):
        designs = {"one": MINE.format(lanes=1, summary=""), "two": MINE.format(lanes=2, summary="")} | changes
        return [point.key for point in load(text, **designs).points]

    before = keys()
    after = keys(two=MINE.format(lanes=4, summary=""))
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert keys(two=MINE.format(lanes=2, summary="said better")) == before


@pytest.mark.parametrize("change", ["cells = 3", 'families = ["ecp5"]', "measure.area.cells = 1", "set.lanes = 2"])
def test_every_input_makes_a_difference(load, change):
    start = 'designs = ["w4a8_os"]\n' + ("" if "families" in change else 'families = ["xc7"]\n')
    (one,), (two,) = load('designs = ["w4a8_os"]\nfamilies = ["xc7"]').points, load(start + change).points
    assert one.key != two.key


def test_what_made_it_makes_a_difference(load, monkeypatch):
    text = 'designs = ["w4a8_os"]\nfamilies = ["xc7"]'
    (before,) = load(text).points
    for name in made_by():
        other = {**made_by(), name: "another"}
        monkeypatch.setattr(points, "made_by", lambda other=other: other)
        (after,) = load(text).points
        assert after.key != before.key
