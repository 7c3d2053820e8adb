"""Bits that nobody reads, told to linters by the name of the wire that they end on."""

import re
from collections.abc import Iterator

__all__ = ["with_unread_told"]

_MODULE = re.compile(r"^module (\w+).*?^endmodule\n", re.MULTILINE | re.DOTALL)
_DECLARED = re.compile(r"^  (?:(?:input|wire|reg) )+(?:signed )?(?:\[(\d+):0\] )?(\w+);$", re.MULTILINE)
_DECLARATION = re.compile(r"^  (?:input|output|wire|reg) .*;$", re.MULTILINE)
_OUTPUT = re.compile(r"^  output (?:wire |reg )?(?:signed )?(?:\[\d+:0\] )?(\w+);$", re.MULTILINE)
_INSTANCE = re.compile(r"^  (\w+) (?:#\(.*?\) )?\w+ \(\n(.*?)^  \);", re.MULTILINE | re.DOTALL)
_CONNECTION = re.compile(r"^    \.(\w+)\((.*)\),?$", re.MULTILINE)
# What stands left of an assignment, behind conditions that are read.
_ASSIGNED = re.compile(r"^( +(?:assign |(?:if \(.*?\) |else )*))(?:\w+|\{[^=;]*?\})((?:\[[^]]*\])*) <?= ", re.MULTILINE)
_READ = re.compile(r"(?<![\w.$'])([A-Za-z_]\w*)(?:\[(\d+)(?::(\d+))?\])?")
# What linters take for the name of a wire that is not to be read, and how Yosys calls wires of its own.
_UNUSED = "unused"
_YOSYS = re.compile(r"_\d+_")


def with_unread_told(text: str) -> str:
    """Verilog with a wire ``unused_<name>`` for bits of wires, registers and inputs of which only others are read.

    Modules are sized by their own arguments, and what stands around them may prove that some bits are always the same,
    or keep fewer of them. Wires of which no bit is read are left to linters, but for those that Yosys has made.

    Parameters
    ----------
    text : str
        As Yosys writes it with ``-noattr -simple-lhs``, without escaped names.
    """
    outputs = {module[1]: set(_OUTPUT.findall(module[0])) for module in _MODULE.finditer(text)}

    def told(module: re.Match[str]) -> str:
        return module[0].removesuffix("endmodule\n") + "".join(_lines(module[0], outputs)) + "endmodule\n"

    return _MODULE.sub(told, text)


def _lines(module: str, outputs: dict[str, set[str]]) -> Iterator[str]:
    declared = {name: int(top or 0) + 1 for top, name in _DECLARED.findall(module)}
    unread = {name: set(range(width)) for name, width in declared.items() if _UNUSED not in name}
    for name, top, bottom in _READ.findall(_without_writes(module, outputs)):
        if name in unread:
            high = int(top) if top else declared[name] - 1
            unread[name] -= set(range(int(bottom or top or 0), high + 1))
    own = {*_OUTPUT.findall(module)}
    for name, places in unread.items():
        partly = len(places) < declared[name] or _YOSYS.fullmatch(name)
        if places and partly and name not in own and f"{_UNUSED}_{name}" not in declared:
            parts = ", ".join(name + _span(*run, declared[name]) for run in reversed(list(_runs(sorted(places)))))
            width = f"[{len(places) - 1}:0] " if len(places) > 1 else ""
            yield f"  wire {width}{_UNUSED}_{name} = {{ {parts} }};\n"


def _without_writes(module: str, outputs: dict[str, set[str]]) -> str:
    """The text of a module without what it declares and what it assigns to, at least in part."""

    def read_connections(instance: re.Match[str]) -> str:
        written = outputs.get(instance[1], set())
        return "\n".join(value for port, value in _CONNECTION.findall(instance[2]) if port not in written)

    body = _DECLARATION.sub("", module.partition(");\n")[2])
    # an index that is no number chooses a word of a memory
    return _ASSIGNED.sub(r"\1 \2 ", _INSTANCE.sub(read_connections, body))


def _runs(places: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of what lies side by side."""
    first = last = places[0]
    for place in places[1:]:
        if place != last + 1:
            yield first, last
            first = place
        last = place
    yield first, last


def _span(first: int, last: int, width: int) -> str:
    if last - first + 1 == width:
        return ""
    return f"[{first}]" if first == last else f"[{last}:{first}]"
