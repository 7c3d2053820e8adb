"""The page says what whole engines take, and what limits them."""

from docs.figures import engines, measured
from docs.figures.engines import section
from fpga.count import Resources
from fpga.time.timing import SlowestPath, Timing
from macforge.measure.whole import WholeReport

SLOWEST = {
    seed: SlowestPath(start=f"from_{seed}", end=f"to_{seed}", logic_ns=2.04, wire_ns=5.5 + seed) for seed in (1, 2, 3)
}


def test_row_is_of_the_median_seed():
    timing = Timing(
        top="t", family="ecp5", tool="nextpnr", path=("LUT4",), fmax_mhz={1: 130.4, 2: 99.0, 3: 120.6}, slowest=SLOWEST
    )
    report = WholeReport(
        design="w4a8_ws",
        family="ecp5",
        unit="engine",
        rows=8,
        cols=8,
        resources=Resources(lut=5848, ff=7169, bram=128),
        parts={},
        timing=timing,
        flow="synth_ecp5",
    )
    text = section([report], "0123abc")
    assert "commit 0123abc, written by `python -m docs.figures.engines`" in text
    cells = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert cells == [
        *("`w4a8_ws`", "8 x 8", "5,848", "7,169", "128", "121", "130, 99, 121", "`from_3` to `to_3`", "2.0 + 8.5"),
    ]


def test_page_has_a_place_for_it():
    assert engines.BEGIN in measured.PATH.read_text() and engines.END in measured.PATH.read_text()
