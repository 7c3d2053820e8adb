"""Proofs that a module in a family's cells is the portable one."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fpga.families import Family
from hw.core.digest import digest
from hw.emit import yosys
from hw.emit.cache import cached_json
from hw.emit.tools import ToolError

__all__ = ["UnprovenError", "prove_equal"]

# Nets and registers of one name, bit by bit, are assumed equal and then proven so, each from the others. Registers of
# different names that take in the same become one before: those of operands in a DSP block, and then the products.
_SCRIPT = """
read_verilog gold.v
prep -flatten -top {top}
opt -full
splitnets
design -stash gold
read_verilog -nowb -overwrite {models}
read_verilog -overwrite gate.v
prep -flatten -top {top}
setattr -unset init w:*
opt -full
splitnets
design -stash gate
design -copy-from gold -as gold {top}
design -copy-from gate -as gate {top}
equiv_make gold gate equal
hierarchy -top equal
opt_clean
opt_merge -share_all
opt_clean
equiv_simple -undef
equiv_induct -undef
equiv_status
"""
_PROVEN = re.compile(r"Of those cells (\d+) are proven and (\d+) are unproven")


class UnprovenError(ToolError):
    """A module in a family's cells could not be proven equal to the portable one."""


def prove_equal(portable: str, mapped: str, *, top: str, family: Family) -> None:
    """Raise unless two modules have the same outputs, whatever their inputs and registers were.

    Yosys proves it with its own models of the family's cells, register by register. A verdict is kept on disk by both
    texts, the script and the tool.

    Parameters
    ----------
    portable, mapped
        Texts with the module, and with all that it instantiates.
    top
        Name of the module.
    family
        Whose cells the mapped one has.

    Raises
    ------
    UnprovenError
        If some output or register may differ.
    ToolError
        If Yosys refuses a text.
    """
    script = _SCRIPT.format(top=top, models=family.models)

    def compute() -> dict[str, Any]:
        with TemporaryDirectory(prefix="macforge-") as folder:
            Path(folder, "gold.v").write_text(portable, encoding="utf-8")
            Path(folder, "gate.v").write_text(mapped, encoding="utf-8")
            log = yosys.run(script, cwd=folder)
        found = _PROVEN.search(log)
        if found is None:
            raise ToolError(f"yosys: nothing of {top} was compared")
        return {"proven": int(found[1]), "unproven": int(found[2])}

    verdict = cached_json("equal", digest(script, portable, mapped, yosys.banner()), compute)
    if verdict["unproven"] or not verdict["proven"]:
        total = verdict["proven"] + verdict["unproven"]
        found = f"{verdict['unproven']} of {total} bits are not proven equal to the portable module"
        raise UnprovenError(f"{top} in cells of {family.title}: {found}")
