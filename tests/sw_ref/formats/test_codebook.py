"""Codebooks: every code, and the nearest value of everything else."""

import re

import numpy as np
import pytest

from sw_ref.formats.catalog import parse_format
from sw_ref.formats.codebook import NF4, NF4_REALS, Codebook
from sw_ref.interval import Interval

BOOKS = [NF4, Codebook((-8, -3, 0, 5)), Codebook((-300, 7)), Codebook(tuple(range(0, 512, 2)))]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.name[:20])
class TestCodebook:
    def test_every_code_comes_back(self, book):
        codes = np.arange(1 << book.bits, dtype=np.uint32)
        assert book.decode(codes).tolist() == list(book.values)
        assert book.to_fixed(codes).tolist() == list(book.values)
        assert book.encode(book.decode(codes)).tolist() == codes.tolist()
        assert book.from_values(np.array(book.values)).tolist() == codes.tolist()

    def test_nearest_value_and_the_lower_of_two(self, book):
        values = np.array(book.values, dtype=np.float64)
        reals = np.concatenate([np.linspace(values[0] - 3, values[-1] + 3, 1001), (values[1:] + values[:-1]) / 2])
        distance = np.abs(reals[:, None] - values)
        assert book.encode(reals).tolist() == distance.argmin(axis=1).tolist()

    def test_its_name_is_read_back(self, book):
        assert parse_format(book.name) == book

    def test_fixed_point_form(self, book):
        assert book.fixed.lsb == 0
        assert book.fixed.interval == Interval(min(book.values), max(book.values))


def test_nf4_is_the_published_table_within_half_a_step():
    assert NF4.bits == 4
    np.testing.assert_allclose(np.array(NF4.values) / 127, NF4_REALS, atol=0.5 / 127)
    assert (NF4.values[0], NF4.values[7], NF4.values[-1]) == (-127, 0, 127)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1, 2, 3), "Codebook must have 2, 4, 8, 16, 32, 64, 128 or 256 values, not 3"),
        ((1,), "Codebook must have 2, 4, 8, 16, 32, 64, 128 or 256 values, not 1"),
        ((3, 1), "Codebook values must ascend, not be 3, 1"),
        ((0, 1 << 15), "Codebook values must be from -32768 to 32767, not 0 to 32768"),
    ],
)
def test_other_tables_are_refused(values, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Codebook(values)


def test_value_between_two_is_refused():
    with pytest.raises(ValueError, match=r"^weight\[1\] is 6, between two values of codebook"):
        Codebook((-8, -3, 0, 7)).from_values(np.array([0, 6]), what="weight")
