"""Files that ask for sweeps: what they may leave out, and what is said of what they must not hold."""

import re

import pytest

from fpga.families import FAMILIES
from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.measure.sweep.spec import load_sweep


@pytest.fixture
def load(tmp_path):
    def call(text):
        path = tmp_path / "asked.toml"
        path.write_text(text)
        return load_sweep(path)

    return call


def test_designs_are_enough(load):
    sweep = load('designs = ["w4a8_os"]')
    assert sweep.name == "asked"
    assert [row.label for row in sweep.rows] == [f"w4a8_os {family}" for family in FAMILIES]
    assert {tuple(row.points) for row in sweep.rows} == {("area",)}
    assert {point.cells for point in sweep.points} == {None}


def test_designs_by_name_by_file_and_all(load, tmp_path):
    (tmp_path / "mine.toml").write_text('family = "mac"\nact = "int8"\nweight = "int4"\narray = {rows = 2, cols = 2}\n')
    mine, named = load('designs = ["mine.toml", "w4a8_os"]').designs
    assert (mine.name, mine.array.rows) == ("mine", 2)
    assert named == load_design("w4a8_os")
    assert [design.name for design in load('designs = "all"').designs] == design_names()
    headline = load('designs = "headline"').designs
    assert 0 < len(headline) < len(design_names())
    assert all(design.headline for design in headline)


def test_settings_are_every_combination_grid_after_grid(load):
    sweep = load(
        'designs = ["w4a8_os"]\n[[set]]\n[[set]]\narray.rows = [2, 4]\n"array.cols" = 8\noptions.cell = ["a", "b"]\n'
        "[[set]]\ndrain.clamp = [[0, 6], []]\n"
    )
    assert sweep.settings == [
        {},
        {"array.rows": 2, "array.cols": 8, "options.cell": "a"},
        {"array.rows": 2, "array.cols": 8, "options.cell": "b"},
        {"array.rows": 4, "array.cols": 8, "options.cell": "a"},
        {"array.rows": 4, "array.cols": 8, "options.cell": "b"},
        {"drain.clamp": [0, 6]},
        {"drain.clamp": []},
    ]


def test_measurements_have_their_own_options_and_cells(load):
    sweep = load(
        'designs = ["w4a8_os"]\ncells = 4\n[measure.area]\n[measure.fmax]\ncells = 2\n[measure.sim]\nstalls = 0\n'
    )
    assert sweep.measurements == {
        "area": {"cells": 4},
        "fmax": {"cells": 2},
        "sim": {"cells": 4, "m": 0, "n": 0, "k": 0, "stalls": 0.0},
    }
    assert type(sweep.measurements["sim"]["stalls"]) is float


@pytest.mark.parametrize(
    "text, message",
    [
        ("designs = [", "Sweep .*asked.toml is not TOML: "),
        ("", "Sweep must have the key designs: a list of names, all or headline$"),
        ('design = ["w4a8_os"]', "Sweep key must be one of designs, .*, not 'design'; did you mean designs"),
        ('designs = "w4a8_os"', "Sweep designs must be a list of names, or all or headline, not 'w4a8_os'$"),
        ("designs = []", r"Sweep designs must be a list of names, or all or headline, not \[\]$"),
        ('designs = ["w4a8_o"]', "Design must be one of .*, not 'w4a8_o'; did you mean w4a8_os"),
        ('designs = ["none.toml"]', "Design must be a file that exists, not .*none.toml$"),
        ('designs = ["w4a8_os", "w4a8_os"]', r"Sweep designs must be given once each, not \['w4a8_os', 'w4a8_os'\]$"),
        ('designs = ["./w4a8_os.toml", "w4a8_os"]', "Sweep designs must have different names, not w4a8_os, w4a8_os$"),
    ],
)
def test_wrong_designs(load, tmp_path, text, message):
    (tmp_path / "w4a8_os.toml").write_text(
        'family = "mac"\nact = "int8"\nweight = "int4"\narray = {rows = 2, cols = 2}'
    )
    with pytest.raises(ValueError, match=f"^{message}"):
        load(text)


@pytest.mark.parametrize(
    "text, message",
    [
        ('families = ["virtex"]', f"Sweep family must be one of {', '.join(FAMILIES)}, not 'virtex'"),
        ('families = "xc7"', "Sweep families must be a list of names, not 'xc7'$"),
        ("seeds = [1, 1]", r"Sweep seeds must be given once each, not \[1, 1\]$"),
        ("seeds = [1, true]", r"Sweep seeds must be a list of integers from 0, not \[1, True\]$"),
        ("seeds = [-1]", r"Sweep seeds must be a list of integers from 0 to 1048575, not \[-1\]$"),
        ("measure.sim.stalls = nan", "Sweep measure.sim.stalls must be a number from 0 to 1048575, not nan$"),
        ("seeds = 3", "Sweep seeds must be a list of integers from 0, not 3$"),
        ("cells = 0", "Sweep cells must be an integer from 1 to 1048575, not 0$"),
        ("cells = true", "Sweep cells must be an integer from 1 to 1048575, not True$"),
        ("set = 3", "Sweep set must be a table of design keys with their values, or several, not 3$"),
        ("set = []", r"Sweep set must be a table of design keys with their values, or several, not \[\]$"),
        ("set.lanse = 2", "Sweep set key must be one of .*, not 'lanse'; did you mean lanes"),
        ("set.array.row = 2", r"Sweep set key must be one of array\.rows, .*, not 'array\.row'"),
        ("set.name = 'x'", "Sweep set key must be one of .*, not 'name'"),
        ("set.lanes.all = 2", r"Sweep set key lanes\.all goes below lanes, which is a single value$"),
        ("set.lanes = []", "Sweep set lanes must have at least one value, not none$"),
        ("set.lanes = 1979-05-27", "Sweep set lanes must be numbers, text, booleans or lists, not datetime"),
        (
            "measure = ['area']",
            "Sweep measure must be a table for each of layer, area, fmax, .+, not",
        ),
        (
            "measure = {}",
            r"Sweep measure must be a table for each of layer, area, fmax, .+, not \{\}$",
        ),
        ("measure.arae = {}", "Sweep measure must be one of layer, area, .*, not 'arae'; did you mean area"),
        ("measure.area = 1", "Sweep measure.area must be a table, not 1$"),
        ("measure.area.cell = 1", "Option of sweep measure.area must be one of cells, not 'cell'; did you mean cells"),
        ("measure.area.cells = 0", "Sweep measure.area.cells must be an integer from 1 to 1048575, not 0$"),
        ("measure.sim.m = 1.5", r"Sweep measure.sim.m must be an integer from 0 to 1048575, not 1\.5$"),
        ("measure.accuracy.transform = 1", "Sweep measure.accuracy.transform must be a string, not 1$"),
        ("measure.sim.stalls = 'no'", "Sweep measure.sim.stalls must be a number from 0 to 1048575, not 'no'$"),
        (
            "families = ['xc7']\nmeasure.fmax = {}",
            r"Sweep measure.fmax needs one of the families .*ecp5.*, not \['xc7'\]$",
        ),
    ],
)
def test_wrong_request(load, text, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        load(f'designs = ["w4a8_os"]\n{text}')


def test_no_file(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ValueError, match=rf"^Sweep must be a file that exists, not {re.escape(str(path))}$"):
            load_sweep(path)
