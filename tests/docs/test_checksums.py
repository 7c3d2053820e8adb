"""The page says what check columns take."""

from docs.figures import checksums, measured
from docs.figures.checksums import Measured, section
from fpga.count import Resources


def one(checksum, lut):
    resources = {"xc7": Resources(lut=lut, ff=10), "ecp5": Resources(lut=2 * lut, ff=20)}
    return Measured(design="w8a8_os", cells=8, checksum=checksum, resources=resources, cycles=1234)


def test_ratios_are_against_the_array_without_a_checksum():
    text = section([one("none", 1000), one("detect", 1100)], "0123abc")
    assert "commit 0123abc, written by `python -m docs.figures.checksums`" in text
    cells = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    sizes = ["1,100", "1.10", "10", "1.00", "2,200", "1.10", "20", "1.00"]
    assert cells == ["`w8a8_os`", "8 x 8", "detect", *sizes, "1,234"]


def test_page_has_a_place_for_it():
    text = measured.PATH.read_text(encoding="utf-8")
    assert checksums.BEGIN in text and checksums.END in text
