"""One design on trial: refused in one line, or the same in software, simulation, lint and synthesis."""

import re
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fpga.families import FAMILIES as FPGA_FAMILIES
from fpga.map.synth import synthesize
from hw.emit.verilog import emit_verilog
from macforge.design.describe import derived
from macforge.design.design import Design, design_of
from macforge.design.plain import parse_toml, to_toml
from macforge.errors import MismatchError
from macforge.measure.area import fitted
from macforge.measure.fuzz.operands import products_of
from macforge.run.accelerated import run_accelerator
from tb.engine import simulate_engine
from tb.lint import lint

__all__ = ["STAGES", "Fault", "Verdict", "check_refusal", "try_design"]

# Longest refusal: what is longer is not one clear line.
_LONGEST = 1000
_STALLS = 0.3
_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a stage has found.

    Parameters
    ----------
    stage : str
        A key of `STAGES`, or ``describe``.
    kind : str
        What the same fault has in common in all designs: the stage, and its message without numbers, or the place in
        the code of an exception.
    reason : str
        One line.
    log : str
        All there is to know of it.
    """

    stage: str
    kind: str
    reason: str
    log: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a design on trial.

    Parameters
    ----------
    refusal : str
        Why it was refused; empty if it was taken.
    faults : tuple of Fault
        Of all stages, the first of each.
    """

    refusal: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def outcome(self) -> str:
        """``passed``, ``refused`` or ``failed``."""
        return "failed" if self.faults else "refused" if self.refusal else "passed"


class FaultError(Exception):
    """A stage has found a fault of macforge's: one line, all there is to know of it, and its kind if not the line."""

    def __init__(self, reason: str, log: str = "", kind: str = "") -> None:
        super().__init__(reason)
        self.log = log or reason
        self.kind = kind or reason


def try_design(name: str, table: Mapping[str, Any], *, seed: int, stages: Sequence[str] = ()) -> Verdict:
    """Take a design through all stages, whatever the one before has found.

    A warning of NumPy, such as of a division by 0, is a fault as any exception is.

    Parameters
    ----------
    name : str
    table : mapping
        As its TOML file has it.
    seed : int
        Of operands, sizes, stalls, and of the FPGA family that it is mapped to.
    stages : sequence of str
        Keys of `STAGES`; all of them if none are given. Describing comes first in any case.
    """
    with warnings.catch_warnings(action="error", category=RuntimeWarning):
        return _verdict(name, table, seed, stages or list(STAGES))


def _verdict(name: str, table: Mapping[str, Any], seed: int, stages: Sequence[str]) -> Verdict:
    design: Design | None = None
    with (given := _Caught("describe")):
        design = _described(name, table)
    if given.refusal:
        with (spoken := _Caught("describe")):
            check_refusal(given.refusal)
        return Verdict(refusal=given.refusal, faults=spoken.faults)
    if design is None:
        return Verdict(faults=given.faults)
    faults: list[Fault] = []
    for stage in stages:
        with (found := _Caught(stage)):
            STAGES[stage](design, seed)
        faults += found.faults
    return Verdict(faults=tuple(faults))


def check_refusal(message: str) -> None:
    """Raise `FaultError` unless a refusal is one clear line."""
    if "\n" in message or not 1 <= len(message) <= _LONGEST:
        raise FaultError(f"Refusal must be one line of at most {_LONGEST} characters, not {message[:80]!r}", message)


class _Refused(Exception):
    """Of a design: the error was meant for who has written it."""


class _Caught:
    """Makes a fault of every exception of a stage."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.refusal = ""
        self.faults: tuple[Fault, ...] = ()

    def __enter__(self) -> "_Caught":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> bool:
        if isinstance(error, _Refused):
            self.refusal = str(error)
        elif isinstance(error, Exception):
            self.faults = (_fault(self.stage, error),)
        return isinstance(error, Exception)


def _fault(stage: str, error: Exception) -> Fault:
    if isinstance(error, FaultError):
        reason, kind, log = str(error), error.kind, error.log
    else:
        reason, kind = f"{type(error).__name__}: {error}", f"{type(error).__name__} in {_place(error)}"
        log = "".join(traceback.format_exception(error))
    kind = re.sub(r"-?\d+(\.\d+)?", "#", _line(kind))
    return Fault(stage=stage, kind=f"{stage}: {kind}", reason=_line(reason), log=log)


def _line(text: str) -> str:
    return (text.splitlines() or [""])[0][:_LONGEST]


def _place(error: BaseException) -> str:
    """File and function of macforge's, or of a family's, in which an exception was raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    last = frames[-1]
    file = Path(last.filename)
    return f"{file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else file.name}:{last.name}"


def _described(name: str, table: Mapping[str, Any]) -> Design:
    """The design of a table by way of its TOML; what is shown of it makes it again."""
    text = to_toml(table)
    try:
        design = design_of(name, parse_toml(text, "Design"))
    except ValueError as error:
        raise _Refused(str(error)) from error
    shown = to_toml({**design.to_table(), "derived": derived(design)})
    again = parse_toml(shown, "Shown design")
    del again["derived"]
    if to_toml(design_of(name, again).to_table()) != to_toml(design.to_table()):
        raise FaultError("The design that is shown differs from the one given", shown)
    return design


def _linted(design: Design, _seed: int) -> None:
    unit = design.engine
    complaints = lint(emit_verilog(unit), unit.name)
    if complaints:
        first = complaints.splitlines()[0]
        reason = re.sub(r"^(%[\w-]+): [\w.]+:\d+(:\d+)?", r"\1", first)
        raise FaultError(f"{unit.name}: {first}", complaints, f"{reason}{_module(complaints)}")


def _module(complaints: str) -> str:
    """In which kind of module the first complaint is, as far as its instance says."""
    found = re.search(r"In instance '([^']+)'", complaints)
    return f" in {found[1].split('.')[-1]}" if found else ""


def _simulated(design: Design, seed: int) -> None:
    products = products_of(design, np.random.default_rng(seed))
    stalled = [product.under(_STALLS) for product in products]
    outcome, _done = simulate_engine(design.engine, [*products, *stalled], seed=seed)
    if outcome.failure is not None:
        # without the sizes
        raise FaultError(outcome.failure, kind=re.sub(r"^product .*?: ", "", outcome.failure))


def _accelerated(design: Design, seed: int) -> None:
    try:
        unit = design.accelerator
    except ValueError as error:
        # results that do not fit the bus
        check_refusal(str(error))
        return
    random = np.random.default_rng(seed)
    products = products_of(design, random)
    try:
        run_accelerator(unit, products, latency=int(random.integers(1, 60)), stalls=_STALLS, seed=seed)
    except MismatchError as error:
        raise FaultError(str(error)) from error


def _synthesized(design: Design, seed: int) -> None:
    family = sorted(FPGA_FAMILIES)[seed % len(FPGA_FAMILIES)]
    engine = fitted(design, family).engine
    for unit in filter(None, (engine.array, engine.verdict, engine.edge)):
        mapped = synthesize(emit_verilog(unit), top=unit.name, family=family, dsp=design.pe.uses_dsp)
        if not mapped.resources.size:
            raise FaultError(f"{unit.name} is mapped to nothing on {family}", str(mapped.resources))


STAGES: dict[str, Callable[[Design, int], None]] = {
    "lint": _linted,
    "simulate": _simulated,
    "accelerate": _accelerated,
    "synthesize": _synthesized,
}
"""What a design goes through, in order.

``lint``: Verilator's, without a warning. ``simulate``: bit for bit and in the predicted cycles, then with stalls.
``accelerate``: behind its bus, whose memory stalls as well. ``synthesize``: the array, the unit that judges rows of
sums, and the drain edge, for an FPGA family.
"""
