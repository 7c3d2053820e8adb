"""The C driver and its header, and the documentation of the registers, out of their description in SystemRDL."""

import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from macforge.emit.files import write_files
from macforge.extras import require_extras

if TYPE_CHECKING:
    from systemrdl.node import AddrmapNode

__all__ = ["described_registers", "register_header", "write_driver"]

_HEADER = "macforge_regs.h"
_SOURCES = ("macforge.h", "macforge.c")


def described_registers() -> "AddrmapNode":
    """The registers, compiled."""
    require_extras("driver")
    from systemrdl.compiler import RDLCompiler

    compiler = RDLCompiler()
    with resources.as_file(resources.files("sw_ref.accelerator") / "registers.rdl") as path:
        compiler.compile_file(str(path))
        return compiler.elaborate().top


def register_header() -> str:
    """The C header of the registers."""
    top = described_registers()
    from peakrdl_cheader.c_standards import CStandard
    from peakrdl_cheader.exporter import CHeaderExporter

    with tempfile.TemporaryDirectory(prefix="macforge-") as folder:
        path = Path(folder) / _HEADER
        CHeaderExporter().export(top, path=str(path), std=CStandard.gnu99)
        return path.read_text()


def write_driver(folder: str | Path, *, html: bool = False) -> list[Path]:
    """Write the C driver, and the registers' documentation as HTML into ``registers``, if wanted.

    Raises
    ------
    ModuleNotFoundError
        If the extra ``driver`` is not installed.
    """
    sources = resources.files("macforge.driver")
    files = {name: (sources / name).read_text() for name in _SOURCES}
    written = write_files(folder, {**files, _HEADER: register_header()})
    if html:
        from peakrdl_html import HTMLExporter

        pages = Path(folder) / "registers"
        HTMLExporter().export(described_registers(), str(pages))
        written.append(pages / "index.html")
    return written
