"""A design as a folder that FPGA tools take: Verilog, testbench, constraints, and what each tool reads of them."""

from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from hw.core.naming import identifier
from macforge.design.design import Design
from macforge.emit.axis import AxisInterface
from macforge.emit.files import write_files
from macforge.emit.template import template
from macforge.emit.testbench import generate_testbench
from macforge.emit.verilog import generate_verilog

__all__ = ["Package", "generate_package"]

_PERIOD_NS = 10
"""Of the clock in the constraints: a start, as the design's own limit depends on the device."""
_PART = "xc7a100tcsg324-1"


@dataclass(frozen=True, kw_only=True)
class Package:
    """A folder of files for FPGA tools.

    Parameters
    ----------
    name : str
        Of the folder.
    files : dict of str to str
        Name and content of each file.
    """

    name: str
    files: dict[str, str]

    def write(self, folder: str | Path) -> list[Path]:
        """Write all files into ``folder / name``, each whole or not at all."""
        return write_files(Path(folder) / self.name, self.files)


def generate_package(design: Design, *, prefix: str | None = None) -> Package:
    """The design with AXI4-Stream ports and its testbench, for FuseSoC, IP-XACT and Vivado; the same on every run.

    All files are called as the top module, whatever characters the design's name has.

    Parameters
    ----------
    design : Design
    prefix : str, optional
        As for `macforge.emit.verilog.generate_verilog`.
    """
    design = replace(design, name=identifier(design.name))
    verilog = generate_verilog(design, prefix=prefix, axis=True)
    bench = generate_testbench(design, axis=True)
    top = verilog.top
    interface = AxisInterface(design.engine)
    given = {
        "top": top,
        "summary": " ".join(design.summary.split()) or f"Matrix products of {design.act} and {design.weight}",
        "version": metadata.version("macforge"),
        "bench": bench.top,
        "vectors": [name for name in bench.files if name.endswith(".hex")],
        "streams": interface.axis_streams,
        "ports": interface.ports,
        "period": _PERIOD_NS,
        "part": _PART,
    }
    templates = {
        f"{top}.core": "package.core.j2",
        f"{top}.xdc": "package.xdc.j2",
        "component.xml": "component.xml.j2",
        "vivado.tcl": "vivado.tcl.j2",
        "README.md": "package.md.j2",
    }
    files = {f"{top}.v": verilog.verilog, f"{top}.json": verilog.to_json(), **bench.files}
    return Package(name=top, files=files | {name: template(of).render(given) for name, of in templates.items()})
