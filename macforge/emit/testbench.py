"""A self-checking testbench in plain Verilog, with its vectors: simulators need no Python to run it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from hw.core.naming import identifier
from macforge.design.design import Design
from macforge.emit.axis import AxisInterface
from macforge.emit.files import write_files
from macforge.emit.interface import Interface, PlainInterface
from macforge.emit.stimulus import Stimulus, stimulus_of
from macforge.emit.template import template
from sw_ref.engine.schedule import Schedule

__all__ = ["Testbench", "generate_testbench"]


@dataclass(frozen=True, kw_only=True)
class Testbench:
    """A testbench of a design.

    Parameters
    ----------
    top : str
        Its top module.
    files : dict of str to str
        Name and content of each file: the Verilog first, then the vectors.
    """

    top: str
    files: dict[str, str]

    # which pytest would take for a class of tests
    __test__ = False

    def write(self, folder: str | Path) -> list[Path]:
        """Write all files into ``folder``, each whole or not at all."""
        return write_files(folder, self.files)


def generate_testbench(design: Design, *, axis: bool = False) -> Testbench:
    """Testbench of the module that `macforge.emit.verilog.generate_verilog` makes; the same text on every run.

    It simulates products of ragged sizes, see `macforge.emit.stimulus.stimulus_of`, without stalls and with them, and
    compares results and cycles with the model.
    """
    engine, stimulus = design.engine, stimulus_of(design)
    interface = AxisInterface(engine) if axis else PlainInterface(engine)
    top = identifier(design.name)
    bench = f"{top}_tb"
    bits = engine.spec.stream_bits
    vectors = {
        **{name: _hex(beats, bits[name] + 1) for name, beats in stimulus.inputs.items()},
        "result": _hex(stimulus.results, bits["result"]),
        "counts": _hex(stimulus.counts, bits["result"]),
    }
    files = {f"{bench}.v": _verilog(interface, stimulus, top, design.name)}
    return Testbench(top=bench, files=files | {f"{bench}_{name}.hex": text for name, text in vectors.items()})


def _verilog(interface: Interface, stimulus: Stimulus, top: str, name: str) -> str:
    engine = interface.engine
    bits = engine.spec.stream_bits
    products = [
        {"cycles": one.cycles, "description": _description(one), "nonfinite": int(flag)}
        for one, flag in zip(stimulus.schedules, stimulus.nonfinite, strict=True)
    ]
    return template("testbench.v.j2").render(
        top=top,
        tb=f"{top}_tb",
        source=shlex.quote(f"{name}.v"),
        products=products,
        inputs={name: {"bits": bits[name], "beats": len(beats)} for name, beats in stimulus.inputs.items()},
        results=len(stimulus.results),
        result_width=bits["result"],
        result_bits=engine.result_bits,
        cols=engine.shape.cols,
        nonfinite=bool(engine.invalid_bits),
        faults=[flag for flag in engine.flags if flag != "nonfinite"],
        padding=interface.result_padding,
        nets=interface.nets,
    )


def _description(schedule: Schedule) -> str:
    passes = f", {schedule.passes} passes" if schedule.passes > 1 else ""
    mode = f", mode {schedule.mode}" if len(schedule.engine.modes) > 1 else ""
    groups = f" in groups of {schedule.group}" if schedule.group < schedule.k else ""
    return f"{schedule.m} x {schedule.n} x {schedule.k}{groups}{passes}{mode}"


def _hex(words: list[int], bits: int) -> str:
    digits = -(-bits // 4)
    return "".join(f"{word:0{digits}x}\n" for word in words)
