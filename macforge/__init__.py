"""RTL of quantized matrix products: generated, proven against a model, and measured."""

# before the rest is loaded, whose files it reads
import macforge.provenance  # noqa: F401
from macforge.area import AreaReport, area
from macforge.compile.compiler import compile_layer
from macforge.compile.program import Program
from macforge.compile.storage import load_program, save_program
from macforge.design import Design, design_names, load_design
from macforge.product import matmul
from macforge.run.executor import MatmulResult, run_program
from macforge.simulation import SimulationReport, simulate
from macforge.verilog import VerilogFiles, generate_verilog

__all__ = [
    "AreaReport",
    "Design",
    "MatmulResult",
    "Program",
    "SimulationReport",
    "VerilogFiles",
    "area",
    "compile_layer",
    "design_names",
    "generate_verilog",
    "load_design",
    "load_program",
    "matmul",
    "run_program",
    "save_program",
    "simulate",
]
