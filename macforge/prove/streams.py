"""Statements about streams and buses: no logic leads through, and what is valid stays until it is taken."""

from functools import partial
from typing import Any

from dataflow.accelerator.accelerator import Accelerator
from dataflow.engine.base import Engine
from hw.emit import yosys
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from macforge.prove.statement import Result, Statement, Verdict
from macforge.provenance import cached_figures
from sw_ref.engine.schedule import schedule_of
from tb.formal.contract import KEEPS, contract
from tb.formal.prove import ENGINE, PROOFS, Proof, children_seconds, prove
from tb.formal.through import through_paths

__all__ = ["stream_statements"]

# Cycles beyond those of the smallest product: for reset, and for results that wait.
_MORE = 6


def stream_statements(design: Design) -> list[Statement]:
    """Of the engine's streams, of the accelerator's buses, and of the units between the two."""
    found = [
        _statement(f"no logic leads through the {what} from an input to an output", partial(_through, unit))
        for what, unit in (("engine", design.engine), ("accelerator", design.accelerator))
    ]
    found.append(_statement(f"engine of one cell: {KEEPS}", partial(_results, design)))
    found += [_statement(f"{name}: {proof.says}", partial(_ruled, proof)) for name, proof in PROOFS.items()]
    return found


def _statement(text: str, decide: Any) -> Statement:
    return Statement(part="streams", text=text, decide=decide)


def _through(unit: Engine | Accelerator, _seconds: float) -> Verdict:
    """Of the unit as a user gets it."""
    verilog = emit_verilog(unit)

    def compute() -> dict[str, Any]:
        start = children_seconds()
        paths = sorted(through_paths(verilog, unit.name))
        return {"paths": paths, "seconds": children_seconds() - start}

    found = cached_figures("through", verilog, unit.name, compute=compute)
    paths = [" to ".join(path) for path in found["paths"]]
    return Verdict(
        result="broken" if paths else "proven",
        engine=f"Yosys {yosys.version()}",
        instances=1,
        seconds=found["seconds"],
        note=paths[0] if paths else "",
        example={"paths": paths} if paths else None,
    )


def _results(design: Design, seconds: float) -> Verdict:
    """In all histories in which a product's results can come and wait."""
    small = design.resized(1)
    depth = schedule_of(small.engine.spec, m=1, n=1, k=1).cycles + _MORE
    proof = Proof(unit=small.engine, rules=contract(small.engine), says=KEEPS, depth=depth, bounded=True)
    return _ruled(proof, seconds)


def _ruled(proof: Proof, seconds: float) -> Verdict:
    """By induction, or so many cycles from reset."""
    try:
        found = prove(proof, seconds=seconds)
    except TimeoutError:
        return Verdict(result="open", engine=ENGINE, depth=proof.depth, instances=1, seconds=seconds)
    except ToolError as error:
        return Verdict(result="not tried", note=str(error))
    result: Result = "broken" if found.line else "bounded" if proof.bounded else "proven"
    return Verdict(result=result, engine=ENGINE, depth=proof.depth, instances=1, seconds=found.seconds, note=found.line)
