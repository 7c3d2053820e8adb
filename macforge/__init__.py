"""RTL of quantized matrix products: generated, proven against a model, and measured."""

import importlib
from typing import TYPE_CHECKING

# before the rest is loaded, whose files it reads
import macforge.provenance  # noqa: F401

if TYPE_CHECKING:
    from macforge.compile.compiler import compile_layer
    from macforge.compile.program import Program
    from macforge.compile.storage import load_program, save_program
    from macforge.design.design import Design, load_design
    from macforge.design.named import design_names
    from macforge.emit.package import Package, generate_package
    from macforge.emit.testbench import Testbench, generate_testbench
    from macforge.emit.verilog import VerilogFiles, generate_verilog
    from macforge.measure.area import AreaReport, area
    from macforge.measure.simulation import SimulationReport, simulate
    from macforge.model.compiled import compile_stored_layer
    from macforge.model.files import open_model
    from macforge.model.fit import fit
    from macforge.model.layer import StoredLayer
    from macforge.run.executor import MatmulResult, run_program
    from macforge.run.product import matmul

__all__ = [
    "AreaReport",
    "Design",
    "MatmulResult",
    "Package",
    "Program",
    "SimulationReport",
    "StoredLayer",
    "Testbench",
    "VerilogFiles",
    "area",
    "compile_layer",
    "compile_stored_layer",
    "design_names",
    "fit",
    "generate_package",
    "generate_testbench",
    "generate_verilog",
    "load_design",
    "load_program",
    "matmul",
    "open_model",
    "run_program",
    "save_program",
    "simulate",
]

# Each is loaded when it is first used: the command line starts in a tenth of the time that all of them take.
_PLACES = {
    "AreaReport": "macforge.measure.area",
    "Design": "macforge.design.design",
    "MatmulResult": "macforge.run.executor",
    "Package": "macforge.emit.package",
    "Program": "macforge.compile.program",
    "SimulationReport": "macforge.measure.simulation",
    "StoredLayer": "macforge.model.layer",
    "Testbench": "macforge.emit.testbench",
    "VerilogFiles": "macforge.emit.verilog",
    "area": "macforge.measure.area",
    "compile_layer": "macforge.compile.compiler",
    "compile_stored_layer": "macforge.model.compiled",
    "design_names": "macforge.design.named",
    "fit": "macforge.model.fit",
    "generate_package": "macforge.emit.package",
    "generate_testbench": "macforge.emit.testbench",
    "generate_verilog": "macforge.emit.verilog",
    "load_design": "macforge.design.design",
    "load_program": "macforge.compile.storage",
    "matmul": "macforge.run.product",
    "open_model": "macforge.model.files",
    "run_program": "macforge.run.executor",
    "save_program": "macforge.compile.storage",
    "simulate": "macforge.measure.simulation",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
