"""Sizes of products that show faults of an engine's counters."""

import itertools
from typing import Any

from sw_ref.engine.spec import EngineSpec

__all__ = ["around", "ragged", "sizes"]

_MOST_ROWS, _MOST_COLS = 14, 12


def around(tile: int, most: int) -> list[int]:
    """Sizes next to the multiples of a tile."""
    return sorted({size for size in (1, tile - 1, tile, tile + 1, 2 * tile, 2 * tile + 1) if 1 <= size <= most})


def ragged(engine: EngineSpec) -> dict[str, Any]:
    """M, N and K of one product with a full panel and a rest, full tiles of few columns, and two groups or steps."""
    return {"m": max(5, engine.panel_rows + 1), "n": 7, "k": 2 * engine.group_size or 19}


def sizes(engine: EngineSpec) -> list[tuple[int, int, int]]:
    """M, N and K: every size of one dimension around its tiles, with the others drawn along."""
    most = engine.max_k
    # every row of the array has results in a full panel
    ms, ns = around(engine.panel_rows, max(_MOST_ROWS, engine.panel_rows + 1)), around(engine.cols, _MOST_COLS)
    # every bit of what counts K is used
    powers = {(1 << bit) - less for bit in range(1, most.bit_length()) for less in (0, 1)}
    ks = sorted({*around(engine.span, most), *around(engine.group_size or 1, most), *powers, most})
    longest = max(len(ms), len(ns), len(ks))
    turns = [
        itertools.islice(itertools.cycle(values), start, start + longest) for start, values in enumerate((ms, ns, ks))
    ]
    return [*zip(*turns, strict=True), (1, 1, 1), (2, 1, most), (ms[-1], ns[-1], 1)]
