"""Reports of made-up figures, for tests of what is made of them."""

from macforge.design.design import load_design
from macforge.measure.steps import Outcome, Step
from macforge.progress import State
from macforge.report.report import Report
from macforge.report.rows import DesignRow, Slot

__all__ = ["FAMILIES", "SLOTS", "area_figures", "front_table", "layer_figures", "made_up_report", "made_up_row"]

FAMILIES = ("xc7", "ecp5")
SLOTS = (Slot("layer"), Slot("accuracy"), *(Slot("area", family) for family in FAMILIES), Slot("fmax", "ecp5"))


def layer_figures(sqnr_db=20.0, **changes):
    """Of a design that is verified."""
    figures = {"tokens": 16, "verified": True, "failure": None, "cycles": 147_490, "predicted_cycles": 147_490}
    figures |= {"macs_per_cycle": 63.98, "utilization": 0.9997, "products_per_mac": 1.0, "sqnr_db": sqnr_db}
    return figures | changes


def area_figures(size=40.0, **changes):
    """Of an array of 8 x 8 cells, so many LUT for each product."""
    mode = {"product": "int8 x int8", "macs_per_cycle": 64, "lut_per_mac": size, "baseline_lut": 2 * size}
    mode |= {"lut_ratio": 0.5}
    figures = {
        **mode,
        "modes": [mode],
        "size_per_mac": size,
        "ff_per_mac": 0.6 * size,
        "cells_size_per_mac": 0.75 * size,
    }
    figures |= {"drain_lut_per_mac": 2.0, "drain_size_per_mac": 2.0, "int8_size": 166, "levels": 7, "cols": 8}
    return figures | {"lut": 64 * size, "ff": 38 * size, "flow": "synth_made_up"} | changes


def front_table(budget="bytes", **changes):
    """What macforge model tune prints of a front."""

    def row(choice, loss, taken, *, best=False):
        return {"choice": choice, "best": best, "layers": 15, "loss": loss, "cycles": 10 * taken, "bytes": taken}

    best = [row(f"best within {taken:,}", loss, taken, best=True) for loss, taken in ((0.5, 900), (0.25, 1200))]
    others = [row("tuned", 0.25, 1200), row("all on mxfp4", 0.75, 1000)]
    table = {"model": "small.gguf", "tokens": 64, "rows": 1, "front": budget, "choices": [*others, *best]}
    return table | changes


def made_up_row(name, *, xc7=40.0, ecp5=60.0, sqnr_db=20.0, cosine=None, mhz=150.0, without=()):
    """The row of a named design, with figures of all but some slots."""
    found = {
        Slot("layer"): layer_figures(sqnr_db),
        Slot("area", "xc7"): area_figures(xc7),
        Slot("area", "ecp5"): area_figures(ecp5),
        Slot("fmax", "ecp5"): {"fmax_mhz": mhz},
    }
    if cosine is not None:
        found[Slot("accuracy")] = {"cosine_mean": cosine, "cosine_min": cosine**1.5}
    wanted = tuple(slot for slot in SLOTS if slot.name != "accuracy" or cosine is not None)
    row = DesignRow(design=load_design(name), wanted=wanted)
    for slot in wanted:
        if slot not in without:
            row = row.with_outcome(
                slot, Outcome(step=Step("made up", "made up", dict), figures=found[slot], seconds=1.0)
            )
    return row


def made_up_report(rows, **changes):
    """A report of these rows, complete if they are."""
    total = sum(len(row.wanted) for row in rows)
    done = total - sum(len(row.pending) for row in rows)
    given = {
        "layer": "a </script> layer",
        "shape": (16, 1536, 384),
        "designs": tuple(rows),
        "families": FAMILIES,
        "tools": {"yosys": "0.70"},
        "state": State(done=done, total=total, elapsed=72.4, left=370.0),
    }
    return Report(**given | changes)
