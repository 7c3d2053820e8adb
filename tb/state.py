"""What a design holds from one cycle to the next: every register and every memory, by its place in the hierarchy."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from hw.emit.verilog import modules_of

__all__ = ["Stored", "stored_bits", "verilator_public"]

_NAME = r"(\w+|\\\S+ )"
# A register, or a memory of so many words.
_DECLARED = re.compile(rf"^ *(?:output )?reg (?:signed )?(?:\[(\d+):0\] )?{_NAME}(?: \[(\d+):0\])?(?: = [^;]*)?;", re.M)
_BLOCK = re.compile(r"^ *always @\((?:posedge|negedge) [^)]*\)(?: *begin\n.*?^  end$|[^;]*?;)", re.M | re.S)
_WRITTEN = re.compile(rf"^ *{_NAME}(?:\[[^\]]*\])? <= ", re.M)
_PLACED = re.compile(rf"^  (?:\\\S+ |\w+) (?:#\([^;]*?\) )?{_NAME} \(", re.M)
_KIND = re.compile(r"^  (\\\S+ |\w+) ")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A register, or a memory of several words.

    Parameters
    ----------
    path : tuple of str
        Names of the instances that it is in, from below the top.
    name : str
    bits, words : int
        Width, and number of words; 1 for a register.
    """

    path: tuple[str, ...]
    name: str
    bits: int
    words: int

    @property
    def size(self) -> int:
        """Bits of all words."""
        return self.bits * self.words

    @property
    def full_name(self) -> str:
        """With the places of the hierarchy, separated by points."""
        return ".".join((*self.path, self.name))


@dataclass(frozen=True)
class _Module:
    text: str

    @cached_property
    def registers(self) -> list[tuple[str, int, int]]:
        """Name, width and words of each that is written at a clock's edge; tables, which never are, are left out."""
        written = {name.strip() for block in _BLOCK.findall(self.text) for name in _WRITTEN.findall(block)}
        found = {}
        for high, name, last in _DECLARED.findall(self.text):
            if name.strip() in written:
                found[name.strip()] = (name.strip(), int(high or 0) + 1, int(last or 0) + 1)
        return list(found.values())

    @cached_property
    def parts(self) -> list[tuple[str, str]]:
        """Instance and module of each part."""
        placed = ((_KIND.match(line), _PLACED.match(line)) for line in self.text.splitlines())
        return [(name[1].strip(), kind[1].strip()) for kind, name in placed if kind and name]


def stored_bits(verilog: str, top: str) -> list[Stored]:
    """All registers and memories of a design, in the order of the hierarchy.

    Parameters
    ----------
    verilog : str
        As `hw.emit.verilog.emit_verilog` gives it: one clock, and registers that are assigned only at its edges.
    top : str
    """
    modules = {name: _Module(text) for name, text in modules_of(verilog).items()}
    return list(_below(modules, top, ()))


def _below(modules: Mapping[str, _Module], name: str, path: tuple[str, ...]) -> Iterator[Stored]:
    for register, bits, words in modules[name].registers:
        yield Stored(path=path, name=register, bits=bits, words=words)
    for instance, kind in modules[name].parts:
        if kind in modules:
            yield from _below(modules, kind, (*path, instance))


def verilator_public(verilog: str) -> str:
    """Lines of a control file of Verilator's with which C++ reaches what is stored, and nothing else."""
    lines = [
        f'public_flat_rw -module "{name}" -var "{register}"'
        for name, text in modules_of(verilog).items()
        for register, _bits, _words in _Module(text).registers
    ]
    return "".join(f"{line}\n" for line in lines)
