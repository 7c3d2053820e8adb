"""Shapes of arrays."""

import re

import pytest

from dataflow.array.shape import Shape


@pytest.mark.parametrize(
    ("shape", "mesh", "name"),
    [
        (Shape(rows=1, cols=1), (1, 1), "1x1"),
        (Shape(rows=16, cols=8), (16, 8), "16x8"),
        (Shape(rows=4, cols=6, tile_rows=2), (2, 6), "4x6_t2x1"),
        (Shape(rows=4, cols=6, tile_cols=3), (4, 2), "4x6_t1x3"),
        (Shape(rows=2, cols=64, tile_rows=2, tile_cols=64), (1, 1), "2x64_t2x64"),
        (Shape(rows=256, cols=256), (256, 256), "256x256"),
    ],
)
def test_mesh_is_made_of_whole_tiles(shape, mesh, name):
    assert (shape.mesh_rows, shape.mesh_cols) == mesh
    assert shape.name == name


@pytest.mark.parametrize("name", ["rows", "cols", "tile_rows", "tile_cols"])
@pytest.mark.parametrize("count", [0, -1, 257, 2.0, True, "4", None])
def test_sizes_out_of_range_are_refused(name, count):
    message = f"Array {name} must be an integer from 1 to 256, not {count!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Shape(**{"rows": 4, "cols": 4, name: count})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"tile_rows": 3}, "Array tile_rows must divide rows (4), not be 3"),
        ({"tile_rows": 8}, "Array tile_rows must divide rows (4), not be 8"),
        ({"tile_cols": 4}, "Array tile_cols must divide cols (6), not be 4"),
    ],
)
def test_tiles_that_do_not_fill_the_array_are_refused(sizes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Shape(rows=4, cols=6, **sizes)
