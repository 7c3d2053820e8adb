"""The page says what stock synthesis makes of delivered Verilog."""

import pytest

from docs.figures import measured, stock
from docs.figures.stock import Row, rows, section
from fpga.count import Resources


def row(design, family, *luts):
    printed, portable, delivered = (Resources(lut=lut, ff=2 * lut) for lut in luts)
    return Row(design=design, family=family, part="array", printed=printed, portable=portable, delivered=delivered)


def test_section_shows_every_row_and_what_they_come_to():
    text = section([row("w4a8_ws", "ecp5", 100, 130, 100), row("mxfp4", "ecp5", 200, 240, 190)], "0123abc")
    assert "commit 0123abc, written by `python -m docs.figures.stock`" in text
    assert "portable file at most 1.30, median 1.25; family file at most 1.00, median 0.97." in text
    assert "| `mxfp4` | array | 200 | 240 | 1.20 | 190 | 0.95 | 400 / 380 |" in text
    assert "### Lattice ECP5" in text


def test_only_the_part_between_the_marks_is_replaced():
    before = f"above\n{stock.BEGIN}\nold\n{stock.END}\nbelow\n"
    assert measured.page(before, "new\n", stock.BEGIN, stock.END) == before.replace("old", "\nnew\n")
    assert stock.BEGIN in measured.PATH.read_text()


@pytest.mark.long
@pytest.mark.parametrize("family", stock.FAMILIES)
def test_stock_synthesis_needs_no_more_than_is_printed(family):
    for each in rows(["w4a8_ws", "mxfp4"], [family]):
        assert each.delivered.lut <= 1.05 * each.printed.lut
