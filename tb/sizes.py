"""Sizes of products that show faults of an engine's counters."""

import itertools

from sw_ref.engine.spec import EngineSpec

__all__ = ["around", "sizes"]

_MOST_ROWS, _MOST_COLS = 14, 12


def around(tile: int, most: int) -> list[int]:
    """Sizes next to the multiples of a tile."""
    return sorted({size for size in (1, tile - 1, tile, tile + 1, 2 * tile, 2 * tile + 1) if 1 <= size <= most})


def sizes(engine: EngineSpec) -> list[tuple[int, int, int]]:
    """M, N and K: every size of one dimension around its tiles, with the others drawn along."""
    most = engine.max_k
    ms, ns = around(engine.panel_rows, _MOST_ROWS), around(engine.cols, _MOST_COLS)
    ks = sorted({*around(engine.span, most), *around(engine.group_size or 1, most), most})
    longest = max(len(ms), len(ns), len(ks))
    turns = [
        itertools.islice(itertools.cycle(values), start, start + longest) for start, values in enumerate((ms, ns, ks))
    ]
    return [*zip(*turns, strict=True), (1, 1, 1), (2, 1, most), (ms[-1], ns[-1], 1)]
