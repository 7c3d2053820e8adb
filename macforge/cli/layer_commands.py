"""Commands on a user's own layers: compiled, run, or both at once."""

import io
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hw.emit.cache import write_whole
from macforge.cli.arguments import DesignName, Json, Settings, names_of
from macforge.files import check_output_file, read_npy
from macforge.tables import print_rows

if TYPE_CHECKING:
    import numpy as np

    from macforge.design.design import Design
    from macforge.run.executor import Engine, MatmulResult

# Whatever else a command takes it imports itself.

__all__ = ["compile_", "matmul", "run"]


def matmul(
    design: DesignName,
    act: Annotated[Path, typer.Option(help="Matrix A (M, K), .npy.")],
    weight: Annotated[Path, typer.Option(help="Matrix W (K, N), .npy.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Product C (M, N), .npy.")],
    engine: Annotated[str, typer.Option(help="rtl (Verilator) or ref (the model).")] = "rtl",
    scheme: Annotated[
        str,
        typer.Option(metavar="NAME", help="Integers in nodes, of which some may be lost: strassen_winograd_parity."),
    ] = "",
    lost: Annotated[str, typer.Option(metavar="NAMES", help="With --scheme: nodes that do not run, as M1,P3.")] = "",
    settings: Settings = None,
    json_: Json = False,
) -> None:
    """Multiply two matrices of yours as a design does."""
    from macforge.design.design import load_design
    from macforge.progress import tracked
    from macforge.run.product import matmul as whole

    if lost and not scheme:
        raise ValueError("Nodes can be lost only with a --scheme, which says what nodes there are")
    chosen = load_design(design, settings or ())
    check_output_file(output, "Product")
    operands = [read_npy(path, name) for path, name in ((act, "act"), (weight, "weight"))]
    # any other text is refused by the product itself
    kind = cast("Engine", engine)
    multiply = partial(_in_nodes, scheme=scheme, lost=lost) if scheme else whole
    (result,) = (multiply(one, *operands, engine=kind) for one in tracked([chosen], f"multiplying ({engine})"))
    write_whole(output, _npy(result.product))
    print_rows([_product_row(chosen.name, engine, output, result)], json_)


def _in_nodes(
    design: "Design", act: "np.ndarray", weight: "np.ndarray", *, engine: "Engine", scheme: str, lost: str
) -> "MatmulResult":
    from macforge.run.redundant import compile_nodes, run_nodes

    layer = compile_nodes(design, weight, scheme)
    names = names_of("Lost node", lost, [node.name for node in layer.nodes])
    return run_nodes(layer, act, engine=engine, lost=names)


def compile_(
    design: DesignName,
    weight: Annotated[Path, typer.Option(help="Matrix W (K, N), .npy.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Program, .safetensors.")],
    bias: Annotated[Path | None, typer.Option(help="Vector (N,), .npy, for a drain edge that adds one.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Activations (M, K), .npy, for scales that have to be known beforehand.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Prepare a layer's weights for a design: a program for `macforge run`."""
    from macforge.compile.compiler import compile_layer
    from macforge.compile.storage import save_program
    from macforge.design.design import load_design

    chosen = load_design(design, settings or ())
    check_output_file(output, "Program")
    given = {"weight": weight, "bias": bias, "calibration": calibration}
    arrays = {name: read_npy(path, name) for name, path in given.items() if path is not None}
    compiled = compile_layer(chosen, arrays["weight"], arrays.get("bias"), arrays.get("calibration"))
    save_program(compiled, output)
    print(f"wrote {output}", file=sys.stderr)


def run(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="What `macforge compile` wrote.")],
    act: Annotated[Path, typer.Option(help="Matrix A (M, K), .npy.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Product C (M, N), .npy.")],
    engine: Annotated[str, typer.Option(help="rtl (Verilator) or ref (the model).")] = "rtl",
    json_: Json = False,
) -> None:
    """Multiply activations of yours with the weights of a program."""
    from macforge.compile.storage import load_program
    from macforge.progress import tracked
    from macforge.run.executor import run_program

    loaded = load_program(program)
    check_output_file(output, "Product")
    operand = read_npy(act, "act")
    # any other text is refused by the program itself
    kind = cast("Engine", engine)
    (result,) = (run_program(one, operand, engine=kind) for one in tracked([loaded], f"multiplying ({engine})"))
    write_whole(output, _npy(result.product))
    print_rows([_product_row(loaded.target.name, engine, output, result)], json_)


def _product_row(design: str, engine: str, output: Path, result: "MatmulResult") -> dict[str, object]:
    return {
        "design": design,
        "engine": engine,
        "output": str(output),
        "shape": list(result.product.shape),
        "dtype": str(result.product.dtype),
        "cycles": result.cycles,
        "predicted_cycles": result.predicted_cycles,
    }


def _npy(array: "np.ndarray") -> bytes:
    if array.dtype == object:
        raise ValueError(
            "Product must fit 63 bits for a .npy file, which it does not; a drain edge with a scale makes floats"
        )
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
