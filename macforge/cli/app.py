"""The command line: what is given, checked; what is asked, done; and one clear line if it cannot be."""

import sys
from functools import partial
from typing import Annotated

import typer

from macforge.cli import (
    board_commands,
    cost_command,
    describe_commands,
    fuzz_command,
    generate_command,
    inject_command,
    layer_commands,
    measure_commands,
    model_commands,
    mutate_command,
    prove_command,
    tune_command,
)
from macforge.exits import exit_code

__all__ = ["app", "main"]

app = typer.Typer(
    help="RTL of quantized matrix products: generated, proven against a model, and measured.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line and exit with one of the codes of `macforge.exits`."""
    sys.exit(exit_code(partial(app, standalone_mode=False)))


def _print_versions(wanted: bool) -> None:
    if wanted:
        from macforge.versions import installed_versions

        for name, version in installed_versions().items():
            print(name, version)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _help(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_versions, is_eager=True, help="Show the versions of all tools."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


# in the order in which help lists them
app.command(name="list")(describe_commands.list_)
app.command()(describe_commands.show)
app.command()(describe_commands.verilog)
app.command()(describe_commands.driver)
app.command()(board_commands.build)
app.command()(measure_commands.sim)
app.command()(prove_command.prove)
app.command()(inject_command.inject)
app.command()(mutate_command.mutate)
app.command()(layer_commands.matmul)
app.command(name="compile")(layer_commands.compile_)
app.command()(layer_commands.run)
model_commands.model.command(name="generate")(generate_command.generate_)
model_commands.model.command(name="cost")(cost_command.cost_)
model_commands.model.command(name="tune")(tune_command.tune_)
app.add_typer(model_commands.model, name="model")
app.command()(measure_commands.area)
app.command()(measure_commands.sweep)
app.command()(measure_commands.report)
app.command()(fuzz_command.fuzz)
