"""Runs of random designs: drawn by number, tried on dask as sweeps are, and what fails shrunk to a small file."""

import functools
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import HypothesisDeprecationWarning, NoSuchExample

from hw.emit.cache import write_whole
from macforge.design.plain import to_toml
from macforge.measure.fuzz.draw import NAME, Table, designs
from macforge.measure.fuzz.trial import Fault, try_design
from macforge.measure.sweep.points import Row, Task, Tasks
from macforge.provenance import made_by

__all__ = ["Failure", "Run", "Trial", "drawn_design", "failures_of", "operand_seed", "shrunk_design", "write_failures"]

_MEASURE = "fuzz"
# Of two examples Hypothesis makes the simplest one first, which is the same for all numbers; the other is random.
_EXAMPLES = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial(Task):
    """A random design, known by the numbers that it is drawn by; or one that is given.

    Parameters
    ----------
    seed : int
        Of the run.
    number : int
        Of the design in the run, and seed of its operands.
    families : tuple of str
        Of which one is drawn; all if empty.
    stages : tuple of str
        Keys of `macforge.measure.fuzz.trial.STAGES`; all if empty.
    given : mapping, optional
        The design, where only operands are drawn.
    """

    seed: int
    number: int
    families: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    given: Mapping[str, Any] | None = None
    measure: str = _MEASURE

    @functools.cached_property
    def inputs(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "seed": self.seed,
            "number": self.number,
            "families": list(self.families),
            "stages": list(self.stages),
            "given": self.given,
            "made_by": made_by(),
        }

    @property
    def figures(self) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        return _tried


def _tried(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What came of a trial, of its `Trial.inputs`."""
    table = inputs["given"] or drawn_design(inputs["seed"], inputs["number"], inputs["families"])
    verdict = try_design(NAME, table, seed=operand_seed(inputs["seed"], inputs["number"]), stages=inputs["stages"])
    return {
        "outcome": verdict.outcome,
        "family": str(table["family"]),
        "act": str(table["act"]),
        "weight": str(table["weight"]),
        "reason": verdict.refusal or "; ".join(fault.reason for fault in verdict.faults),
        "design": table,
        "faults": [vars(fault) for fault in verdict.faults],
    }


def operand_seed(seed: int, number: int) -> int:
    """What operands, sizes, stalls and the FPGA family of a trial are drawn by."""
    return seed * 1_000_003 + number


@dataclass(frozen=True, kw_only=True, eq=False)
class Run(Tasks):
    """So many trials, which `macforge.measure.sweep.run.run_sweep` takes in place of a sweep.

    Parameters
    ----------
    seed : int
    first, count : int
        Number of the first trial, and how many there are.
    families, stages : tuple of str
        As of a `Trial`.
    given : mapping of str to mapping
        Designs by their names, each tried ``count`` times with other operands; random ones if empty.
    """

    seed: int
    first: int = 0
    count: int
    families: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    given: Mapping[str, Mapping[str, Any]] | None = None

    @property
    def name(self) -> str:
        """By which results are found again."""
        return " ".join(["fuzz", str(self.seed), *self.families, *(self.given or ())])

    @functools.cached_property
    def rows(self) -> list[Row]:
        """A row for each trial."""
        return list(self._rows())

    def _rows(self) -> Iterator[Row]:
        for number in range(self.first, self.first + self.count):
            for name, table in (self.given or {NAME: None}).items():
                trial = Trial(seed=self.seed, number=number, families=self.families, stages=self.stages, given=table)
                yield Row(design=name, settings={}, family=None, seed=number, points={_MEASURE: trial})

    @functools.cached_property
    def points(self) -> Sequence[Task]:
        """All trials."""
        return [row.points[_MEASURE] for row in self.rows]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A kind of fault, with the first design that shows it.

    Parameters
    ----------
    fault : Fault
    count : int
        How many designs show it.
    name : str
        Of the design.
    number : int
        Of the trial.
    design : dict
        As plain data.
    """

    fault: Fault
    count: int
    name: str
    number: int
    design: Table


def failures_of(rows: Sequence[Mapping[str, Any]]) -> list[Failure]:
    """What a run has found, the most frequent first.

    Parameters
    ----------
    rows : sequence of dict
        Of `macforge.measure.sweep.store.Store.table`.
    """
    found: dict[str, list[tuple[Mapping[str, Any], Fault]]] = {}
    for row in rows:
        for each in row.get(f"{_MEASURE}.faults") or ():
            fault = Fault(**each)
            found.setdefault(fault.kind, []).append((row, fault))
    failures = []
    for shown in sorted(found.values(), key=len, reverse=True):
        row, fault = shown[0]
        failures.append(
            Failure(
                fault=fault, count=len(shown), name=row["design"], number=row["seed"], design=row[f"{_MEASURE}.design"]
            )
        )
    return failures


def drawn_design(seed: int, number: int, families: Sequence[str] = ()) -> Table:
    """The design of a number: always the same with the same macforge, whatever others are drawn."""
    drawn: list[Table] = []

    def is_found(table: Table) -> bool:
        drawn.append(table)
        return False

    _found(is_found, seed, number, families, phases=[Phase.generate])
    return drawn[-1]


def shrunk_design(
    failure: Failure,
    *,
    seed: int,
    families: Sequence[str] = (),
    tries: int = 200,
    attempt: Callable[..., Any] = try_design,
) -> Table:
    """The simplest design that Hypothesis finds with the same kind of fault, of a design that was drawn.

    Parameters
    ----------
    failure : Failure
    seed : int
        Of the run.
    families : sequence of str
    tries : int
        Designs that are tried at most; the smallest so far is the answer then.
    attempt : callable
        What tries a design, as `macforge.measure.fuzz.trial.try_design` does.
    """
    stages = [failure.fault.stage] if failure.fault.stage != "describe" else ["lint"]
    best, known = failure.design, dict[str, bool]()

    def shows_it(table: Table) -> bool:
        text = to_toml(table)
        # Hypothesis asks again for what it has found, and must be told the same
        if text not in known:
            known[text] = len(known) < tries and shows_anew(table)
        return known[text]

    def shows_anew(table: Table) -> bool:
        nonlocal best
        verdict = attempt(NAME, table, seed=operand_seed(seed, failure.number), stages=stages)
        shown = any(fault.kind == failure.fault.kind for fault in verdict.faults)
        if shown and len(to_toml(table)) <= len(to_toml(best)):
            best = table
        return shown

    _found(shows_it, seed, failure.number, families, phases=[Phase.generate, Phase.shrink])
    return best


def _found(
    condition: Callable[[Table], bool], seed: int, number: int, families: Sequence[str], *, phases: Sequence[Phase]
) -> None:
    how = settings(
        max_examples=_EXAMPLES,
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
        phases=list(phases),
    )
    try:
        # threads of dask beside this one use Python's random numbers, which Hypothesis takes for the strategy's doing
        with warnings.catch_warnings(action="ignore", category=HypothesisDeprecationWarning):
            find(designs(tuple(families)), condition, settings=how, random=random.Random(operand_seed(seed, number)))
    except NoSuchExample:
        return


def write_failures(
    run: Run, rows: Sequence[Mapping[str, Any]], folder: Path, *, shrink: bool = True
) -> list[dict[str, Any]]:
    """Write a design for each kind of fault of a run to files that all commands take, in place of those of before.

    Designs that are given are files already.

    Parameters
    ----------
    run : Run
    rows : sequence of dict
        Of `macforge.measure.sweep.store.Store.table`.
    folder : Path
        Made if there is a fault.
    shrink : bool
        Whether a simpler design is looked for.

    Returns
    -------
    list of dict
        For each kind ``fault``, how many ``designs`` show it, and the ``file``.
    """
    if run.given:
        return [{"fault": one.fault.kind, "designs": one.count, "file": one.name} for one in failures_of(rows)]
    written = []
    for path in folder.glob("[0-9][0-9]_*.toml"):
        path.unlink()
    for index, failure in enumerate(failures_of(rows)):
        folder.mkdir(parents=True, exist_ok=True)
        design = shrunk_design(failure, seed=run.seed, families=run.families) if shrink else failure.design
        path = folder / f"{index:02}_{failure.fault.stage}.toml"
        told = (
            failure.fault.kind,
            failure.fault.reason,
            f"{failure.count} designs of seed {run.seed} show it; again:",
            f"macforge fuzz {path.name} --seed {run.seed} --first {failure.number} --count 1",
        )
        write_whole(path, "".join(f"# {line}\n" for line in told) + "\n" + to_toml(design))
        written.append({"fault": failure.fault.kind, "designs": failure.count, "file": str(path)})
    return written
