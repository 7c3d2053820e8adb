"""macforge inject: single bits of an accelerator that flip, and what becomes of its results."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from macforge.cli.arguments import Cells, DesignNames, Json, Settings, chosen_designs
from macforge.files import check_output_file
from macforge.progress import at_once
from macforge.tables import figure, print_rows
from sw_ref.fields import one_of

# Whatever else the command takes it imports itself.

__all__ = ["inject"]


def inject(
    designs: DesignNames = None,
    count: Annotated[int, typer.Option(min=1, help="Injections into each design.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, max=1_000_000, help="Of all that is drawn.")] = 0,
    only: Annotated[int | None, typer.Option(min=0, metavar="ID", help="Run this one injection again.")] = None,
    waves: Annotated[Path | None, typer.Option(help="With --only: waves of the run, .vcd.")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=0, help="Designs at a time; 0: one a processor.")] = 1,
    settings: Settings = None,
    cells: Cells = None,
    json_: Json = False,
) -> None:
    """Flip single bits of registers and memories of accelerators, and classify what becomes of their results.

    Each injection is a run of its own behind the bus, in Verilator. Injections are spread evenly over the classes of
    registers, and within a class over all bits and cycles. What has been run is kept.
    """
    from macforge.inject.campaign import Campaign
    from macforge.inject.outcome import KINDS

    if waves is not None:
        if only is None:
            raise ValueError("Waves are recorded of one injection, which --only names")
        one_of("Ending of waves", waves.suffix, (".vcd",))
        check_output_file(waves, "Waves")
    chosen = chosen_designs(designs, False, settings, cells)
    if only is not None:
        if len(chosen) > 1:
            raise ValueError(f"One injection is one design's, not {len(chosen)} designs'")
        print_rows([Campaign(design=chosen[0], seed=seed).single(only, waves=waves)], json_)
        return
    found = at_once(partial(_rows, count=count, seed=seed), chosen, "injecting", jobs)
    rows = [row for each in found for row in each]
    if json_:
        print_rows(rows, True)
        return
    columns = {"design": "design", "class": "class", "bits": "bits", "injections": "injections"}
    columns |= {kind: f"{kind} %" for kind in KINDS} | {"next_wrong": "next wrong", "reset_wrong": "reset wrong"}
    print_rows([{**row, **{kind: _share(row, kind) for kind in KINDS}} for row in rows], False, columns)


def _rows(design: Any, *, count: int, seed: int) -> list[dict[str, Any]]:
    from macforge.inject.campaign import Campaign

    return Campaign(design=design, seed=seed).rows(count)


def _share(row: dict[str, Any], kind: str) -> str:
    """A share and its interval, in percent."""
    low, high = row[f"{kind}_interval"]
    return f"{figure(100 * row[kind] / row['injections'])} ({figure(100 * low)}-{figure(100 * high)})"
