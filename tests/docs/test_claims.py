"""The page of claims says what is measured of each."""

import pytest

from docs.figures.claims import BEGIN, CLAIMS, END, PATH, Measured, section, verdict
from macforge.design.design import load_design
from macforge.run.transformed import find_transform


def one(sqnr_db, ratio):
    return Measured(sqnr_db=sqnr_db, ratio=ratio)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (one(20, 1.1), one(19, 1.2), "yes"),
        (one(20, 1.3), one(19, 1.2), "on MiniLM alone"),
        (one(18, 1.1), one(19, 1.2), "on SmolLM2 alone"),
        (one(19, 1.2), one(19, 1.2), "no"),
    ],
)
def test_verdicts_follow_from_figures(first, second, said):
    assert verdict(CLAIMS[0], first, second) == said


def test_next_to_no_loss_has_a_bound():
    little = next(claim for claim in CLAIMS if claim.little)
    assert verdict(little, one(18.6, 1.1), one(19, 1.1)) == "yes"
    assert verdict(little, one(18.4, 1.2), one(19, 1.1)) == "no"


def test_page_has_a_row_for_each_way_of_each_claim():
    assert len(CLAIMS) >= 15
    ways = {way for claim in CLAIMS for way in (claim.first, claim.second)}
    for way in ways:
        find_transform(way.transform, load_design(way.design, way.settings).target)
    text = section({way: one(1.0, 2.0) for way in ways}, "abc")
    assert text.count("1.0 | 2.000") == 2 * len(CLAIMS)
    written = PATH.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert [claim.says for claim in CLAIMS if claim.says not in written] == []
