"""Commands that say what there is, and what a design is; and write its Verilog."""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from macforge.cli.arguments import All, DesignName, DesignNames, Json, Settings, chosen_designs, out
from macforge.files import check_output_folder
from macforge.tables import print_rows

# Whatever else a command takes it imports itself: listing designs must not load Amaranth, NumPy and cocotb.

__all__ = ["driver", "list_", "show", "verilog"]


def list_(
    what: Annotated[str, typer.Argument(help="formats, families, designs or boards.")] = "designs",
    json_: Json = False,
) -> None:
    """List number formats, processing element families, named designs, or boards."""
    listings = {"formats": _formats, "families": _families, "designs": _designs, "boards": _boards}
    if what not in listings:
        raise ValueError(f"List what must be formats, families, designs or boards, not {what!r}")
    columns = {key: key for key in ("name", "family", "act", "weight", "lanes", "dataflow", "source")}
    print_rows(listings[what](), json_, columns if what == "designs" else None)


def show(
    design: DesignName,
    settings: Settings = None,
    rows: Annotated[
        int | None, typer.Option("-m", min=1, help="Of a program: rows of A; by default as many as stay on chip.")
    ] = None,
    json_: Json = False,
) -> None:
    """Show a design as TOML, with everything that follows from it; or what a program is, and what it costs."""
    if design.endswith(".safetensors"):
        _show_program(Path(design), rows, json_)
        return
    from macforge.design.plain import to_toml
    from macforge.design.shown import shown_design

    name, table = shown_design(design, settings or ())
    if json_:
        print_rows({"name": name, **table}, json_)
        return
    out.print(f"# {name}\n{to_toml(table)}", markup=False, highlight=False, soft_wrap=True, end="")


def verilog(
    designs: DesignNames = None,
    all_: All = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the files.")] = Path("."),
    prefix: Annotated[
        str | None, typer.Option(help="In front of the names of all modules but the top; by default the top's name.")
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(help="With cells of xc7, xcup, ecp5 or nexus that save LUTs: NAME_FAMILY.v, NAME_FAMILY.json."),
    ] = None,
    axis: Annotated[bool, typer.Option("--axis", help="Ports that are AXI4-Stream.")] = False,
    testbench: Annotated[
        bool, typer.Option("--testbench", help="Also a testbench that needs no Python, NAME_tb.v and NAME_tb_*.hex.")
    ] = False,
    package: Annotated[
        bool,
        typer.Option("--package", help="All of these in a folder NAME, with files for FuseSoC, IP-XACT and Vivado."),
    ] = False,
    accelerator: Annotated[
        bool,
        typer.Option("--accelerator", help="The engine behind AXI4, with registers: NAME_accelerator.v and .json."),
    ] = False,
    settings: Settings = None,
) -> None:
    """Write the Verilog of designs, NAME.v, and what there is to know about it, NAME.json."""
    from macforge.emit.accelerator import generate_accelerator
    from macforge.emit.package import generate_package
    from macforge.emit.testbench import generate_testbench
    from macforge.emit.verilog import generate_verilog
    from macforge.progress import tracked

    others = {"--family": family, "--axis": axis, "--testbench": testbench, "--package": package}
    if accelerator and (given := [name for name, value in others.items() if value]):
        raise ValueError(f"--accelerator must be given without {' and '.join(given)}")
    if family and (testbench or package):
        raise ValueError(
            f"Family must be left out with {'--package' if package else '--testbench'}, whose Verilog is portable, "
            f"not {family}"
        )
    chosen = chosen_designs(designs, all_, settings)
    check_output_folder(output, "Verilog")
    for design in tracked(chosen, "writing Verilog"):
        if accelerator:
            files = [generate_accelerator(design, prefix=prefix)]
        elif package:
            files = [generate_package(design, prefix=prefix)]
        else:
            files = [generate_verilog(design, prefix=prefix, family=family, axis=axis)]
            files += [generate_testbench(design, axis=axis)] if testbench else []
        for path in chain.from_iterable(each.write(output) for each in files):
            out.print(str(path), highlight=False, soft_wrap=True)


def driver(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the files.")] = Path("."),
    html: Annotated[
        bool, typer.Option("--html", help="Also the documentation of the registers, registers/index.html.")
    ] = False,
) -> None:
    """Write the C driver of accelerators: macforge.h, macforge.c, and macforge_regs.h of the registers."""
    from macforge.driver.files import write_driver

    check_output_folder(output, "Driver")
    for path in write_driver(output, html=html):
        out.print(str(path), highlight=False, soft_wrap=True)


def _show_program(path: Path, rows: int | None, json_: bool) -> None:
    from macforge.compile.cost import cost
    from macforge.compile.program import summary
    from macforge.compile.storage import load_program

    program = load_program(path)
    costs = cost(program, rows or program.target.engine.panel_rows)
    table = {**summary(program), "m": costs.rows, "cycles": costs.cycles, "utilization": round(costs.utilization, 4)}
    streams = [
        {"stream": name, "beats": one.beats, "bits": one.bits, "bytes": one.bytes, "memory": costs.memory.get(name)}
        for name, one in costs.streams.items()
    ]
    if json_:
        print_rows({**table, "streams": streams}, json_)
        return
    print_rows([table], json_)
    out.print()
    print_rows(streams, json_)


def _designs() -> list[dict[str, object]]:
    from macforge.design.named import DEFAULTS, named_tables

    fields = ("family", "act", "weight", "lanes", "dataflow", "summary", "source")
    return [
        {"name": name, **{key: table.get(key, DEFAULTS.get(key, "")) for key in fields}}
        for name, table in named_tables().items()
    ]


def _boards() -> list[dict[str, object]]:
    from fpga.boards import BOARDS

    fields = ("title", "family", "part", "clock_mhz", "cells", "memory_bytes", "baud")
    return [{"name": name, **{key: getattr(board, key) for key in fields}} for name, board in BOARDS.items()]


def _families() -> list[dict[str, object]]:
    from pe import FAMILIES

    return [
        {"name": name, "summary": kind.summary, "options": list(kind.options()), "source": kind.source}
        for name, kind in FAMILIES.items()
    ]


def _formats() -> list[dict[str, object]]:
    from sw_ref.formats import catalog

    return [
        {"name": each.spelling, "description": each.description, "examples": list(each.examples)}
        for each in catalog.FAMILIES
    ]
