"""Standard cells as a family: what a Liberty file says of them, as Yosys reads it."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from fpga.families.family import Cost, Family
from hw.core.digest import digest
from hw.emit import yosys
from hw.emit.cache import cached_dir

__all__ = ["read_liberty"]

_FILE = "cells.lib"
# A cell whose function is not told is none that logic can be mapped to.
_READ = "read_liberty -ignore_miss_func -ignore_miss_dir -ignore_miss_data_latch"
# At last the cells are read for the directions of their pins, which a netlist then tells.
_FLOW = (
    f"synth -noabc{{options}}; dfflibmap -liberty {_FILE}; opt; abc -liberty {_FILE}; opt_clean; {_READ} -lib {_FILE}"
)


def read_liberty(path: Path) -> Family:
    """The cells of a Liberty file as a family, whose unit is that of the file's areas.

    Parameters
    ----------
    path
        The file; what it says is part of a result, where it lies is not.

    Raises
    ------
    ValueError
        If there is no such file, it is not text, or it holds no cell that has an area.
    ToolError
        If Yosys cannot read it.
    """
    if not path.is_file():
        raise ValueError(f"Liberty file must be one that exists, not {str(path)!r}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"Liberty file must be text in UTF-8, which {str(path)!r} is not: {error.reason}") from error
    return _family(path.name.removesuffix(".lib"), text)


@functools.cache
def _family(name: str, text: str) -> Family:
    cells = _cells(text)
    if not cells:
        raise ValueError(f"Liberty file must hold cells that have an area, but {name} has none")
    return Family(
        name=name,
        title=f"standard cells {name}",
        unit="area",
        flow=_FLOW,
        flat="-flatten",
        costs={
            cell: Cost(area=found["area"], ff=found["ff"], is_logic=not found["ff"]) for cell, found in cells.items()
        },
        files={_FILE: text},
    )


def _cells(text: str) -> dict[str, dict[str, Any]]:
    """Area of each cell, and whether it stores a bit."""
    script = f"{_READ} {_FILE}\nwrite_json cells.json"

    def build(folder: Path) -> None:
        (folder / _FILE).write_text(text, encoding="utf-8")
        yosys.run(script, cwd=folder)

    read = cached_dir("liberty", digest(text, script, yosys.banner()), build)
    modules = json.loads((read / "cells.json").read_bytes())["modules"]
    return {
        name: {"area": float(module["attributes"]["area"]), "ff": int(_stores(module))}
        for name, module in modules.items()
        if "area" in module["attributes"]
    }


def _stores(cell: dict[str, Any]) -> bool:
    return any("DFF" in part["type"] or "DLATCH" in part["type"] for part in cell["cells"].values())
