"""Tables of the documentation that follow from the code, as Markdown."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence

import typer

from fpga.boards import BOARDS
from fpga.families import FAMILIES as FPGA_FAMILIES
from macforge.cli.app import app
from macforge.design.design import Design
from macforge.design.named import DEFAULTS, named_tables
from pe import FAMILIES
from sw_ref.drain.steps import STEPS
from sw_ref.formats import catalog

__all__ = ["TABLES", "designs", "families", "formats", "fpga_families", "keys", "markdown_table", "options", "plain"]


_WHEN = {"term": "each sum", "total": "each result"}


def plain(text: str) -> str:
    """Text as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_<>\[\]|$~])", r"\\\1", text)


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def formats() -> str:
    """The number formats: how names are spelled."""
    rows = [
        [_code(each.spelling), plain(each.description), ", ".join(map(_code, each.examples))]
        for each in catalog.FAMILIES
    ]
    return markdown_table(("name", "what it is", "examples"), rows)


def designs() -> str:
    """The named designs."""
    rows = []
    for name, table in named_tables().items():
        known = {**DEFAULTS, **table}
        operands = f"`{known['act']}` x `{known['weight']}`"
        cell = f"`{known['family']}`" + (f", {known['lanes']} lanes" if known["lanes"] > 1 else "")
        dataflow = known["dataflow"].replace("_", "-")
        rows.append([f"`{name}`", operands, cell, dataflow, plain(known["summary"]), plain(known["source"])])
    return markdown_table(("design", "act x weight", "cell", "dataflow", "what it is", "source"), rows)


def families() -> str:
    """The families of processing elements."""
    rows = [
        [f"`{name}`", plain(kind.summary), ", ".join(map(_code, kind.options())), plain(kind.source)]
        for name, kind in FAMILIES.items()
    ]
    return markdown_table(("family", "what a cell computes", "options", "source"), rows)


def options() -> str:
    """The options of each family, with their docstrings."""
    rows = []
    for name, kind in FAMILIES.items():
        meanings = {key: text for base in reversed(kind.__mro__) for key, text in _parameters(base).items()}
        defaults = {field.name: field.default for field in dataclasses.fields(kind)}
        rows += [
            [f"`{name}`", f"`options.{key}`", f"`{_toml(defaults[key])}`", meanings.get(key, "")]
            for key in kind.options()
        ]
    return markdown_table(("family", "key", "default", "meaning"), rows)


def fpga_families() -> str:
    """The families that designs are mapped to."""
    rows = []
    for name, family in FPGA_FAMILIES.items():
        tool = f"`{family.pnr.tool}` `{' '.join(family.pnr.options)}`" if family.pnr else "none"
        rows.append([f"`{name}`", plain(family.title), family.unit, _code(family.flow.format(options="")), tool])
    return markdown_table(("family", "device", "size in", "synthesis", "place and route"), rows)


def boards() -> str:
    """The boards that designs are built for."""
    rows = []
    for name, board in BOARDS.items():
        memory = f"{board.memory_bytes // 1024} KiB" if board.memory_bytes else "the processors'"
        line = f"serial, {board.baud:,} baud" if board.baud else "the processors"
        array, clock = f"{board.cells} x {board.cells}", f"{board.clock_mhz:g} MHz"
        rows.append([f"`{name}`", plain(board.title), plain(board.part), clock, array, memory, line])
    return markdown_table(("board", "name", "device", "clock", "array", "memory", "host"), rows)


def commands() -> str:
    """The commands."""
    rows = [[f"`macforge {name}`", _inline(command.help.split("\n\n")[0])] for name, command in _commands()]
    return markdown_table(("command", "what it does"), rows)


def command_options() -> str:
    """The arguments and options of every command."""
    rows = []
    for name, command in _commands():
        for each in command.params:
            spelled = (
                _code(", ".join(each.opts))
                if each.param_type_name == "option"
                else _code(each.metavar or each.name.upper())
            )
            rows.append([f"`{name}`", spelled, _inline(each.help or "")])
    return markdown_table(("command", "option", "meaning"), rows)


def _commands() -> Iterator[tuple[str, typing.Any]]:
    for name, command in typer.main.get_group(app).commands.items():
        if below := getattr(command, "commands", None):
            yield from ((f"{name} {each}", found) for each, found in below.items())
        else:
            yield name, command


def drain_steps() -> str:
    """The steps of the drain edge, in their order."""
    rows = []
    for kind in STEPS:
        names = ", ".join(f"`{key.name}`" for key in kind.keys)
        # the stage of some depends on their keys
        when = " or ".join(_WHEN[stage] for stage in kind.stages)
        rows.append([kind.__name__, names, when, _summary(kind)])
    return markdown_table(("step", "keys of `[drain]`", "once for", "what it computes"), rows)


def keys() -> str:
    """Every key of a design file, with its default and what its docstring says."""
    rows = [[f"`{key}`", default, meaning] for key, default, meaning in _keys(Design, "", {"name"})]
    return markdown_table(("key", "default", "meaning"), rows)


def _keys(kind: type, prefix: str, left_out: set[str]) -> Iterator[tuple[str, str, str]]:
    meanings, hints = _parameters(kind), typing.get_type_hints(kind)
    if prefix == "drain.":
        # a step documents its own keys
        meanings = {key.name: _parameters(step).get(key.name) or _summary(step) for step in STEPS for key in step.keys}
        meanings["arithmetic"] = "The floats of the drain edge."
    for field in dataclasses.fields(kind):
        if field.name in left_out:
            continue
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        inner = hints[field.name]
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            yield from _keys(inner, f"{prefix}{field.name}.", set())
        else:
            shown = "required" if default is dataclasses.MISSING else f"`{_toml(default)}`"
            yield f"{prefix}{field.name}", shown, meanings.get(field.name, "")


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value) if isinstance(value, tuple) else value)


def _summary(kind: type) -> str:
    """The first paragraph of a docstring."""
    return _inline(" ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split()))


def _parameters(kind: type) -> Mapping[str, str]:
    """What the section Parameters of a docstring says of each name, with its type."""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", inspect.getdoc(kind) or "", re.DOTALL | re.MULTILINE
    )
    found = {}
    for entry in re.split(r"\n(?=\S)", section[1].strip()) if section else ():
        head, _, body = entry.partition("\n")
        names, _, form = head.partition(" : ")
        text = " ".join(line.strip() for line in body.splitlines())
        shown = _code(form) if form.startswith("{") else plain(form)
        meaning = "; ".join(filter(None, (shown, _inline(text))))
        found |= dict.fromkeys(names.split(", "), meaning)
    return found


def _inline(text: str) -> str:
    """A sentence of a docstring: its code stays code."""
    parts = re.split(r"``?(.+?)``?", text)
    return "".join(_code(part) if index % 2 else plain(part) for index, part in enumerate(parts))


TABLES: Mapping[str, Callable[[], str]] = {
    "formats": formats,
    "designs": designs,
    "families": families,
    "options": options,
    "fpga_families": fpga_families,
    "drain_steps": drain_steps,
    "keys": keys,
    "boards": boards,
    "commands": commands,
    "command_options": command_options,
}
"""Every table by its name in a page."""
