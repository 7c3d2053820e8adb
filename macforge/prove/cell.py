"""Statements about a design's cell: what it adds to a sum, with the encoders of its row and column."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from hw.emit.tools import ToolError
from macforge.design.design import Design
from macforge.prove.statement import Result, Statement, Verdict
from sw_ref.arith.float_sum import FloatSum
from tb.formal.cells import SOLVER, CellProof, Equation, Found
from tb.formal.laws import why_not
from tb.runner import Outcome

__all__ = ["cell_statements"]

# What a statement is, if one of its equations is.
_WORST: tuple[Result, ...] = ("broken", "open", "proven")


def cell_statements(design: Design) -> list[Statement]:
    """One for each mode of the processing element, for all codes, masks and sums."""
    pe, sums = design.pe, design.sums
    found = []
    for index, mode in enumerate(pe.modes):
        lanes = f"{mode.lanes} lane{'s' if mode.lanes > 1 else ''}"
        lanes += f", in {sums.name}" if isinstance(sums, FloatSum) else ""
        text = f"sum = addend + products of {mode.act.name} x {mode.weight.name}, {lanes}"
        if (reason := why_not(pe, sums)) is not None:
            verdict = Verdict(result="not tried", note=reason)
            found.append(Statement(part="cell", text=text, decide=lambda _seconds, verdict=verdict: verdict))
            continue
        proof = CellProof(pe, sums)
        equations = [each for each in proof.equations if each.mode == index]
        found.append(
            Statement(part="cell", text=text, decide=partial(_decide, proof, equations), replay=partial(_replay, proof))
        )
    return found


def _decide(proof: CellProof, equations: Sequence[Equation], seconds: float) -> Verdict:
    decided: list[Found] = []
    for equation in equations:
        try:
            decided.append(proof.decide(equation, seconds=seconds))
        except ToolError as error:
            return Verdict(result="not tried", note=str(error))
        if decided[-1].result == "broken":
            break
    worst = min(decided, key=lambda each: _WORST.index(each.result))
    lanes = [
        ", ".join(map(str, proof.lanes(each))) or "none"
        for each, found in zip(equations, decided, strict=False)
        if found.result == worst.result
    ]
    example = None
    if worst.result == "broken":
        broken = equations[len(decided) - 1]
        example = {"mode": broken.mode, "group": broken.group, **(worst.example or {})}
    return Verdict(
        result=worst.result,
        engine=SOLVER,
        instances=sum(each.instances for each in decided),
        seconds=sum(each.seconds for each in decided),
        note="" if worst.result == "proven" else f"lane {', '.join(lanes)}",
        example=example,
    )


def _replay(proof: CellProof, example: dict[str, Any], waves: str) -> Outcome:
    values = dict(example)
    return proof.replay(Equation(values.pop("mode"), values.pop("group")), values, waves=waves)
