"""Netlists with many faults, of which the simulator is told the number of one.

The faults are those of Yosys's ``mutate``, as MCY (Mutation Cover with Yosys) takes them: one pin of one cell inverted,
stuck at 0 or 1, or inverted where another bit of the same port is 0 or 1.
"""

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from amaranth.lib.wiring import In

from hw.core.unit import Unit
from hw.emit import yosys
from hw.emit.verilog import emit_verilog, modules_of

__all__ = ["SELECTOR", "Mutants", "Mutation", "below", "mutants_of"]

SELECTOR = "mutant"
"""The input with the number of a fault, in the netlist, and the plusarg of the simulator; 0 is none."""

# A clock that is held or inverted is a fault of the clock tree, and not of the logic that a bench looks at; what tables
# hold, no Verilog chooses while it runs.
_CLOCKS = ("clk", "CLK")
# As Yosys drops such candidates late, more are asked for than are wanted.
_MORE = 2
_LIST = """
read_verilog design.v
hierarchy -top {top}
proc -norom
opt_clean
{commands}
"""
_INSTANCE = re.compile(r"^  (\w+) \w+ \($", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A fault.

    Parameters
    ----------
    number : int
        What selects it, from 1 on.
    mode : str
        ``inv``, ``const0``, ``const1``, or ``cnot0``, ``cnot1``: inverted where bit ``ctrlbit`` of the port is so.
    module, cell, port : str
    portbit : int
    ctrlbit : int or None
    wire : str
        The named wire, with its bit, at that pin; empty if it has none.
    source : str
        Lines of the Verilog, as Yosys names them.
    """

    number: int
    mode: str
    module: str
    cell: str
    port: str
    portbit: int
    ctrlbit: int | None
    wire: str
    source: str

    @property
    def place(self) -> str:
        """Where it is, for a reader."""
        at = f"{self.module}: {self.cell}.{self.port}[{self.portbit}]"
        return f"{at} ({self.wire})" if self.wire else at

    def command(self, bits: int) -> str:
        """What has Yosys make it, selected by a number of ``bits``."""
        control = "" if self.ctrlbit is None else f" -ctrlbit {self.ctrlbit}"
        place = f"-module {self.module} -cell {self.cell} -port {self.port} -portbit {self.portbit}{control}"
        return f"mutate -mode {self.mode} -ctrl {SELECTOR} {bits} {self.number} {place}"


@dataclass(frozen=True, kw_only=True)
class Mutants:
    """A unit with faults.

    Parameters
    ----------
    unit : Unit
    netlist : str
        Verilog whose module `top` has the ports of the unit and the input `SELECTOR`.
    mutations : tuple of Mutation
    """

    unit: Unit
    netlist: str
    mutations: tuple[Mutation, ...]

    @property
    def top(self) -> str:
        """The top module of the netlist."""
        return _inner(self.unit)

    @property
    def bits(self) -> int:
        """Width of the selector."""
        return _bits(len(self.mutations))

    @property
    def verilog(self) -> str:
        """The netlist in a module of the unit's name and ports, with clock and reset, in which a plusarg selects."""
        declared = {**dict.fromkeys(("clk", "rst"), ("input", 1)), **_declared(self.unit)}
        ports = [f"  {way} [{bits - 1}:0] {name}" for name, (way, bits) in declared.items()]
        header = re.search(rf"module {self.top}\(([^)]*)\)", self.netlist)
        assert header is not None, "Yosys writes the ports of a module behind its name"
        own = re.findall(r"\w+", header[1])
        return (
            f"{self.netlist}\nmodule {self.unit.name}(\n"
            + ",\n".join(ports)
            + f"\n);\n  reg [{self.bits - 1}:0] {SELECTOR};\n"
            + f'  initial if (!$value$plusargs("{SELECTOR}=%d", {SELECTOR})) {SELECTOR} = 0;\n'
            + f"  {self.top} dut({', '.join(f'.{name}({name})' for name in own)});\nendmodule\n"
        )


def below(verilog: str, *tops: str) -> set[str]:
    """Names of modules, and of all that they instantiate."""
    modules, found, waiting = modules_of(verilog), set(), list(tops)
    while waiting:
        name = waiting.pop()
        if name in modules and name not in found:
            found.add(name)
            waiting += _INSTANCE.findall(modules[name])
    return found


def mutants_of(unit: Unit, modules: Collection[str], *, count: int, seed: int = 0) -> Mutants:
    """A unit with faults in some of its modules.

    Parameters
    ----------
    unit : Unit
    modules : collection of str
        Where faults may be, as `hw.emit.verilog.emit_verilog` calls them. A module that is there several times has a
        fault in every place at once.
    count : int
        How many faults; as many as there are, if there are fewer.
    seed : int
        Of which faults are taken.
    """
    top = _inner(unit)
    verilog = emit_verilog(unit, name=top)
    where = " ".join(sorted(top if name == unit.name else name for name in modules))
    with tempfile.TemporaryDirectory(prefix="macforge-mutants-") as name:
        folder = Path(name)
        (folder / "design.v").write_text(verilog)
        drawn = f"mutate -list {int(_MORE * count) + 1} -seed {seed} -o list.txt {where}"
        yosys.run(_LIST.format(top=top, commands=drawn), cwd=folder)
        mutations = tuple(_listed((folder / "list.txt").read_text(), count))
        made = [*(each.command(_bits(len(mutations))) for each in mutations), f"hierarchy -top {top}"]
        # in a file, as a command line holds no more than 128 KiB
        (folder / "mutants.ys").write_text("\n".join(made))
        yosys.run(_LIST.format(top=top, commands="script mutants.ys\nwrite_verilog -noattr mutants.v"), cwd=folder)
        return Mutants(unit=unit, netlist=(folder / "mutants.v").read_text(), mutations=mutations)


def _inner(unit: Unit) -> str:
    return f"{unit.name}_mutants"


def _bits(count: int) -> int:
    return max(1, count.bit_length())


def _declared(unit: Unit) -> Mapping[str, tuple[str, int]]:
    """Way and width of each port."""
    return {
        name: ("input" if flow == In else "output", max(1, len(value))) for name, (value, flow) in unit.ports().items()
    }


def _listed(text: str, count: int) -> Iterator[Mutation]:
    number = 0
    for line in text.splitlines():
        words = line.split()
        options: dict[str, list[str]] = {}
        for option, value in zip(words[1::2], words[2::2], strict=True):
            options.setdefault(option.removeprefix("-"), []).append(value)
        if options["port"][0].lstrip("\\") in _CLOCKS or "$meminit" in options["cell"][0] or number == count:
            continue
        number += 1
        wire = f"{options['wire'][0]}[{options['wirebit'][0]}]" if "wire" in options else ""
        yield Mutation(
            number=number,
            mode=options["mode"][0],
            module=options["module"][0],
            cell=options["cell"][0],
            port=options["port"][0],
            portbit=int(options["portbit"][0]),
            ctrlbit=int(options["ctrlbit"][0]) if "ctrlbit" in options else None,
            wire=wire,
            source=options.get("src", [""])[-1],
        )
