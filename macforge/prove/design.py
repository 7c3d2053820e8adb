"""Everything that is to hold of a design, decided one statement after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hw.emit.cache import write_whole
from hw.emit.tools import ToolError
from macforge.design.design import Design
from macforge.prove.parts import PARTS
from macforge.prove.statement import Statement, Verdict

__all__ = ["prove_design"]


def prove_design(
    design: Design, parts: Sequence[str] = tuple(PARTS), *, seconds: float = 60.0, waves: Path | None = None
) -> list[dict[str, Any]]:
    """A row of plain data for each statement, see `macforge.prove.statement.Statement.to_table`.

    What has been decided is kept on disk, by all that made it; what stays open is tried again.

    Parameters
    ----------
    design : Design
    parts : sequence of str
        Keys of `macforge.prove.parts.PARTS`.
    seconds : float
        How long a single question may take.
    waves : Path, optional
        Where to write waves of the first example of a broken statement, .fst or .vcd.

    Raises
    ------
    ToolError
        If the simulator finds nothing wrong with such an example: then a proof is wrong.
    """
    rows = []
    for part in parts:
        for statement in PARTS[part](design):
            verdict = statement.decide(seconds)
            if verdict.result == "broken" and statement.replay and verdict.example:
                _replayed(statement, verdict, waves)
                waves = None
            rows.append(statement.to_table(design.name, verdict))
    return rows


def _replayed(statement: Statement, verdict: Verdict, waves: Path | None) -> None:
    """Hold an example against the simulator."""
    assert statement.replay is not None and verdict.example is not None
    outcome = statement.replay(verdict.example, waves.suffix.removeprefix(".") if waves else "")
    if outcome.failure is None:
        raise ToolError(f"Example of {statement.text} is right in the simulator: {verdict.example}")
    if waves is not None and outcome.waves is not None:
        write_whole(waves, outcome.waves)
