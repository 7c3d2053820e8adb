"""Netlists of a design, as Yosys reads its Verilog."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hw.emit import yosys

__all__ = ["netlist"]


def netlist(verilog: str, top: str, script: str) -> Mapping[str, Any]:
    """The module ``top``, as Yosys writes JSON, when ``script`` has been run on ``verilog``."""
    with tempfile.TemporaryDirectory(prefix="macforge-") as name:
        folder = Path(name)
        (folder / "design.v").write_text(verilog)
        yosys.run(f"read_verilog design.v\n{script.format(top=top)}\nwrite_json netlist.json", cwd=folder)
        return json.loads((folder / "netlist.json").read_bytes())["modules"][top]
