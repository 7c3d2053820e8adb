"""The page of faults says what was found, of which commit, and weighs classes by their bits."""

import pytest

from docs.figures.faults import DESIGNS, MARKS, PATH, Measured, load, section, weighted
from macforge.inject.outcome import KINDS, interval


def row(name, bits, *, injections=1000, names=(), **counts):
    """A class of which all others are masked."""
    found = dict.fromkeys(KINDS, 0) | counts
    found["masked"] = injections - sum(counts.values())
    empty = {key: [] for key in ("silent_in", "hung_in", "reset_wrong_in")}
    named = {"silent_in": list(names)} if names else {}
    others = {"next_wrong": 1234, "reset_wrong": 1, "false_alarms": 5}
    return {"class": name, "bits": bits, "injections": injections, **found, **others, **empty, **named}


PLAIN = Measured(design="w8a8_os", checksum="none", rows=[row("cells", 300, silent=100, names=[["acc_#", 100]])])
CHECKED = Measured(
    design="w8a8_os", checksum="correct", rows=[row("checks", 100, detected=1), row("cells", 300, corrected=100)]
)


def lines(text, *begin):
    """Cells of the lines of tables that begin so."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [line for line in found if tuple(line[: len(begin)]) == begin]


def test_section():
    text = section([PLAIN, CHECKED], "0123abc")
    assert "commit 0123abc" in text
    assert "3,000 injections" in text
    none = "0.000 (0.000-0.383)"
    (summary,) = lines(text, "`w8a8_os`", "300")
    assert summary[2:] == ["1,000", "90.00 (87.98-91.71)", none, none, "10.00 (8.29-12.02)", none]
    assert lines(text, "`w8a8_os`", "cells") == [["`w8a8_os`", "cells", "10.00 (8.29-12.02)", none]]
    assert lines(text, "`w8a8_os`", "checks") == [["`w8a8_os`", "checks", "-", none]]
    assert ["cells", "`acc_#` 100", "", ""] in lines(text, "cells")
    (checked,) = lines(text, "checks", "100")
    assert checked[-3:] == ["1,234", "1", "5"]


def test_classes_are_weighted_by_their_bits():
    share, low, high = weighted(CHECKED.rows, "corrected")
    assert share == pytest.approx(0.75 * 0.1)
    assert low < share < high
    # of one class it is that class's own interval
    assert weighted(CHECKED.rows[1:], "corrected") == pytest.approx((0.1, *interval(100, 1000)))


def test_page_has_a_place_for_them():
    assert all(mark in PATH.read_text(encoding="utf-8") for mark in MARKS)


def test_designs_are_there():
    for name, checksum in DESIGNS:
        assert load(name, checksum).array.checksum == checksum
