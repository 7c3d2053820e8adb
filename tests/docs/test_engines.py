"""The page says what whole engines take, and what limits them."""

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from docs.figures import engines, measured
from docs.figures.engines import above_arrays, section
from fpga.count import Resources
from fpga.time.timing import SlowestPath, Timing
from macforge.measure.whole import WholeReport

if TYPE_CHECKING:
    from macforge.measure.area import AreaReport

SLOWEST = {
    seed: SlowestPath(start=f"from_{seed}", end=f"to_{seed}", logic_ns=2.04, wire_ns=5.5 + seed) for seed in (1, 2, 3)
}


def whole_report(parts, resources):
    timing = Timing(top="t", family="ecp5", tool="nextpnr", path=("LUT4",), fmax_mhz={}, slowest={})
    return WholeReport(
        design="w4a8_ws",
        family="ecp5",
        unit="engine",
        rows=8,
        cols=8,
        resources=resources,
        parts=parts,
        timing=timing,
        flow="synth_ecp5",
    )


def test_row_is_of_the_median_seed():
    timing = Timing(
        top="t", family="ecp5", tool="nextpnr", path=("LUT4",), fmax_mhz={1: 130.4, 2: 99.0, 3: 120.6}, slowest=SLOWEST
    )
    report = replace(whole_report({}, Resources(lut=5848, ff=7169, bram=128)), timing=timing)
    text = section([report], "0123abc")
    assert "commit 0123abc, written by `python -m docs.figures.engines`" in text
    cells = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert cells == [
        *("`w4a8_ws`", "8 x 8", "5,848", "7,169", "128", "121", "130, 99, 121", "`from_3` to `to_3`", "2.0 + 8.5"),
    ]


def test_rest_of_an_engine_is_without_its_array():
    parts = {"control": Resources(lut=50), "array": Resources(lut=1000), "drain": Resources(lut=300)}
    engine = whole_report(parts, Resources(lut=1350))
    array = SimpleNamespace(resources=Resources(lut=1000))
    row = above_arrays([(cast("AreaReport", array), engine)]).splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["`w4a8_ws`", "8 x 8", "1,000", "1,350", "1.35", "`drain` 300, `control` 50"]


def test_page_has_a_place_for_it():
    assert engines.BEGIN in measured.PATH.read_text() and engines.END in measured.PATH.read_text()
