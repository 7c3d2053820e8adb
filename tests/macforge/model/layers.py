"""Stored layers made by hand, and products that show a weight element by element."""

import numpy as np

from macforge.compile.program import Program
from macforge.model.layer import StoredLayer
from macforge.run.executor import run_program
from sw_ref.formats.base import Format
from sw_ref.quantize.stored import Factors

__all__ = ["made", "rows_of"]


def made(form: Format, codes: np.ndarray, scale: np.ndarray, *, group_size: int = 0, **more) -> StoredLayer:
    """A layer of codes (K, N) and scales (G, N); ``more`` are zero points, offsets, or fields of the layer."""
    factors = {name: more.pop(name) for name in ("zero_point", "offset", "channel") if name in more}
    return StoredLayer(
        name="layer",
        kind="made",
        k=codes.shape[0],
        n=codes.shape[1],
        format=form,
        group_size=group_size,
        read_codes=lambda: codes.astype(np.uint32),
        read_factors=lambda: Factors.of(scale, **factors),
        **more,
    )


def rows_of(program: Program, count: int) -> np.ndarray:
    """The first rows of a program's weight: products of unit vectors."""
    return run_program(program, np.eye(count, program.k, dtype=int), engine="ref").product
