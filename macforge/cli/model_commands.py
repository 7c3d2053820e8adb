"""Commands on model files: which layers they hold, which designs take these, and programs of them."""

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from macforge.cli.arguments import DesignName, DesignNames, Json, Settings, out
from macforge.files import check_output_file, read_npy
from macforge.tables import print_rows

if TYPE_CHECKING:
    from macforge.design.target import Target
    from macforge.model.layer import StoredLayer

# Whatever else a command takes it imports itself.

__all__ = ["compile_layer_", "model", "show_model"]

model = typer.Typer(help="Layers of GGUF, ONNX and safetensors files as they are stored, and text by whole models.")
ModelFile = Annotated[Path, typer.Argument(metavar="FILE", help="Model: .gguf, .onnx or .safetensors.")]


@model.callback(invoke_without_command=True)
def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@model.command(name="show")
def show_model(file: ModelFile, designs: DesignNames = None, settings: Settings = None, json_: Json = False) -> None:
    """List the linear layers of a file, the designs that take each as it is stored, and why the others do not.

    Without a DESIGN, all named designs are asked.
    """
    from macforge.model.files import model_path, open_model
    from macforge.model.fit import fits
    from macforge.model.layer import joined

    opened = open_model(model_path(file))
    targets = _targets(designs, settings)
    rows = []
    # parts of one tensor or node are asked for at once
    for _, parts in groupby(opened.layers(), key=lambda layer: layer.of or layer.name):
        layer = joined(list(parts))
        rows.append(_row(layer, fits(targets, layer)))
    passed_over = [{"name": name, "reason": reason} for name, reason in opened.passed_over()]
    if json_:
        print_rows({"layers": rows, "passed_over": passed_over}, json_)
        return
    columns = {"name": "layer", "kind": "type", "k": "K", "n": "N", "format": "weights", "group": "group"}
    print_rows(
        [{**row, "taken_by": row["designs"] or "none"} for row in rows], json_, {**columns, "taken_by": "designs"}
    )
    for names, reasons in _classes(rows):
        out.print(f"\nNot {_shown(names)}:", highlight=False, markup=False, soft_wrap=True)
        print_rows([{"why": why, "designs": which} for why, which in reasons.items()], json_)
    if passed_over:
        out.print("\nNot read:", highlight=False, markup=False)
        print_rows(passed_over, json_)


@model.command(name="compile")
def compile_layer_(
    file: ModelFile,
    layer: Annotated[str, typer.Argument(metavar="LAYER", help="Name of a layer, as `macforge model show` lists it.")],
    design: DesignName,
    output: Annotated[Path, typer.Option("-o", "--output", help="Program, .safetensors.")],
    calibration: Annotated[
        Path | None, typer.Option(help="Activations (M, K), .npy, for scales that have to be known beforehand.")
    ] = None,
    requantize: Annotated[
        bool, typer.Option("--requantize", help="Quantize again what the design does not take as it is stored.")
    ] = False,
    without_bias: Annotated[bool, typer.Option("--without-bias", help="Leave the layer's bias out.")] = False,
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Compile a layer of a file for a design: as it is stored, or not at all unless --requantize is given."""
    from dataclasses import replace

    from macforge.compile.storage import save_program
    from macforge.design.design import load_design
    from macforge.model.compiled import compile_stored_layer
    from macforge.model.files import find_layer, model_path, open_model

    found = find_layer(open_model(model_path(file)), layer)
    chosen = load_design(design, settings or ())
    check_output_file(output, "Program")
    acts = None if calibration is None else read_npy(calibration, "calibration")
    if without_bias:
        found = replace(found, bias=None)
    program, reason = compile_stored_layer(chosen, found, calibration=acts, requantize=requantize)
    save_program(program, output)
    weights = "as stored" if reason is None else f"re-quantized, as {chosen.name} {reason}"
    print_rows(
        [{"layer": layer, "type": found.kind, "design": chosen.name, "output": str(output), "weights": weights}], json_
    )
    if reason is not None:
        print(f"re-quantized {layer}: {chosen.name} {reason}", file=sys.stderr)


def _targets(designs: list[str] | None, settings: list[str] | None) -> "dict[str, Target]":
    if not designs and not settings:
        from macforge.model.fit import named_targets

        return named_targets()
    from macforge.design.design import load_design
    from macforge.design.named import design_names

    return {name: load_design(name, settings or ()).target for name in designs or design_names()}


def _row(layer: "StoredLayer", fits: dict[str, str | None]) -> dict[str, object]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "k": layer.k,
        "n": layer.n,
        "format": layer.format.name,
        "group": layer.group_size or layer.k,
        "act": _act(layer),
        "bias": layer.bias is not None,
        "designs": [name for name, reason in fits.items() if reason is None],
        "reasons": {name: reason for name, reason in fits.items() if reason is not None},
    }


def _act(layer: "StoredLayer") -> str | None:
    if layer.act is None:
        return None
    return f"{layer.act.format.name}, {'static' if layer.act.is_static else 'dynamic'}"


def _classes(rows: list[dict]) -> list[tuple[list[str], dict[str, list[str]]]]:
    """Layers that the same designs refuse for the same reasons, and these with their designs."""
    found: dict[tuple, list[str]] = {}
    for row in rows:
        found.setdefault(tuple(row["reasons"].items()), []).append(row["name"])
    classes = []
    for reasons, names in found.items():
        why: dict[str, list[str]] = {}
        for name, reason in reasons:
            why.setdefault(reason, []).append(name)
        if why:
            classes.append((names, why))
    return classes


def _shown(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]} and {len(names) - 2} more"
