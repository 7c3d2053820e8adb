"""RTL of quantized matrix products: generated, proven against a model, and measured."""

# before the rest is loaded, whose files it reads
import macforge.provenance  # noqa: F401
from macforge.area import AreaReport, area
from macforge.design import Design, design_names, load_design
from macforge.product import MatmulResult, matmul
from macforge.simulation import SimulationReport, simulate
from macforge.verilog import VerilogFiles, generate_verilog

__all__ = [
    "AreaReport",
    "Design",
    "MatmulResult",
    "SimulationReport",
    "VerilogFiles",
    "area",
    "design_names",
    "generate_verilog",
    "load_design",
    "matmul",
    "simulate",
]
