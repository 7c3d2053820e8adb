"""A design as it is shown: its table, with what follows from it; computed once, and kept."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from macforge.design.named import design_table
from macforge.provenance import cached_description

__all__ = ["shown_design"]


def shown_design(design: str | Path, settings: Iterable[str] = ()) -> tuple[str, dict[str, object]]:
    """Name of a design, and its whole table with `macforge.design.describe.derived`, as plain data.

    What has been shown before takes neither Amaranth nor NumPy.

    Raises
    ------
    ValueError
        As `macforge.design.design.load_design`.
    """
    name, table = design_table(design, settings)
    return name, cached_description("design", name, table, compute=partial(_described, name, table))


def _described(name: str, table: dict[str, object]) -> dict[str, object]:
    from macforge.design.describe import derived
    from macforge.design.design import design_of

    chosen = design_of(name, table)
    return {**chosen.to_table(), "derived": derived(chosen)}
