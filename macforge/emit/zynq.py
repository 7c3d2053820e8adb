"""A design's accelerator beside the processors of a Zynq: Verilog, and the script that makes a Vivado project."""

import re
from dataclasses import replace

from fpga.boards import Board
from hw.core.naming import identifier
from macforge.design.design import Design
from macforge.emit.accelerator import generate_accelerator
from macforge.emit.package import Package
from macforge.emit.template import template

__all__ = ["NOT_RUN", "generate_zynq"]

NOT_RUN = "not run in Vivado, nor on hardware"
"""What a build says of itself."""

# How Vivado's block designs know what a pin is; interfaces they know by the names of AXI.
_ATTRIBUTES = {
    "clk": 'X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 clk CLK", '
    'X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF m_axi:s_axi_ctrl, ASSOCIATED_RESET rst"',
    "rst": 'X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 rst RST", X_INTERFACE_PARAMETER = "POLARITY ACTIVE_HIGH"',
    "irq": 'X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 irq INTERRUPT", '
    'X_INTERFACE_PARAMETER = "SENSITIVITY LEVEL_HIGH"',
}


def generate_zynq(design: Design, board: Board) -> Package:
    """The accelerator with a block design for a Zynq; the same on every run."""
    design = replace(design, name=identifier(design.name))
    made = generate_accelerator(design)
    given = {
        "top": made.top,
        "title": board.title,
        "part": board.part,
        "clock_mhz": f"{board.clock_mhz:g}",
        "vivado": board.vivado,
        "script": "vivado.tcl",
    }
    files = {
        f"{made.top}.v": _marked(made.verilog, made.top),
        f"{made.top}.json": made.to_json(),
        "vivado.tcl": template("zynq.tcl.j2").render(given),
    }
    return Package(name=f"{design.name}_{board.name}", files=files)


def _marked(verilog: str, top: str) -> str:
    """The Verilog with attributes at some ports of its top module."""
    head, start, rest = verilog.partition(f"\nmodule {top}(")
    body, end, after = rest.partition("\nendmodule")
    for port, attributes in _ATTRIBUTES.items():
        declared = re.compile(rf"^( *)((?:input|output) {port};)", re.MULTILINE)
        body, count = declared.subn(rf"\1(* {attributes} *)\n\1\2", body)
        assert count == 1, "an accelerator has these ports"
    return head + start + body + end + after
