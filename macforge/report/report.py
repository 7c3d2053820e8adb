"""The main job: a real layer through the RTL of every design, with what each costs."""

import functools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fpga.families import COMPARED
from macforge.design.design import Design
from macforge.emit.verilog import commit, tool_versions
from macforge.measure import peers
from macforge.measure.finding import Candidate, Finding, answer, entries, measure
from macforge.measure.registry import MEASUREMENTS, InReport
from macforge.measure.steps import Outcome, Step, take_steps
from macforge.measure.use import ROWS
from macforge.measure.workload import Layer
from macforge.model.pareto import Front
from macforge.progress import Pace, State
from macforge.provenance import LOADED
from macforge.report.columns import Column, brief_columns, design_columns, filled, front_columns, mode_columns
from macforge.report.rows import DesignRow, Slot
from macforge.report.sizes import size_columns, size_rows

__all__ = ["Report", "growing_report", "make_report", "reported_measurements"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is known of one layer, as far as it has been measured.

    Parameters
    ----------
    layer : str
        What is computed.
    shape : tuple of int
        M, N, K.
    designs : sequence of DesignRow
    families : sequence of str
        FPGA families that sizes are counted on.
    tools : dict
        Versions.
    state : State
        How far it has come.
    finding : Finding or None
        The smallest ways to multiply; None if they were not asked for, or not all of them are measured yet.
    ways_pending : int
        Ways to multiply that are still to be measured.
    failed_ways : list of str
        Ways to multiply that are left out of the finding, and why.
    sources_changed : bool
        Whether macforge's own files have changed while figures were measured.
    is_interrupted : bool
        Whether nothing will be added any more, though it is not complete.
    fronts : tuple of Front
        Choices of designs for the layers of models, which were made before.
    """

    layer: str
    shape: tuple[int, int, int]
    designs: tuple[DesignRow, ...]
    families: tuple[str, ...]
    tools: Mapping[str, str]
    state: State
    finding: Finding | None = None
    ways_pending: int = 0
    failed_ways: list[str] = field(default_factory=list)
    sources_changed: bool = False
    is_interrupted: bool = False
    fronts: tuple[Front, ...] = ()

    @functools.cached_property
    def rows(self) -> list[dict[str, Any]]:
        """One for each design, see `macforge.report.rows.DesignRow.table`."""
        return [row.table for row in self.designs]

    @functools.cached_property
    def sizes(self) -> list[dict[str, Any]]:
        """One for each design and FPGA family, see `macforge.report.sizes`."""
        return size_rows(self.designs, self.families)

    @property
    def failures(self) -> list[str]:
        """What has failed, and why."""
        return [*(f"{row.design.name}: {row.failed}" for row in self.designs if row.failed), *self.failed_ways]

    @property
    def to_come(self) -> list[str]:
        """What is still to be measured, for people."""
        pending = Counter(slot for row in self.designs for slot in row.pending)
        first = sorted(pending, key=lambda slot: (list(MEASUREMENTS).index(slot.name), self._place(slot.family)))
        told = [f"{slot.label} of {_counted(pending[slot], 'design')}" for slot in first]
        return told + ([_counted(self.ways_pending, "way") + " to multiply"] if self.ways_pending else [])

    def _place(self, family: str | None) -> int:
        return self.families.index(family) if family is not None else -1

    @property
    def complete_rows(self) -> int:
        """Designs of which nothing is still to come."""
        return sum(row.is_complete for row in self.designs)

    @property
    def flows(self) -> list[str]:
        """What was run to map a design, for each of the families that all are compared on."""
        flows = (row.figures("area", family).get("flow") for family in COMPARED for row in self.designs)
        return list(dict.fromkeys(filter(None, flows)))

    @property
    def is_sliced(self) -> bool:
        """Whether a design computes but some rows of the layer."""
        return any((row.figures("layer").get("tokens") or self.shape[0]) < self.shape[0] for row in self.designs)

    @property
    def columns(self) -> list[Column]:
        """Those of the designs' table that tell something."""
        measured = {slot.name for row in self.designs for slot in row.wanted}
        columns = filled(design_columns(measured), self.rows)
        return [column for column in columns if column.name != "tokens" or self.is_sliced]

    @property
    def brief(self) -> dict[str, str]:
        """Columns for the terminal: key to title."""
        return {column.key: column.heading for column in brief_columns(self.columns)}

    @property
    def size_columns(self) -> list[Column]:
        """Those of the sizes' table that tell something."""
        return filled(size_columns([row["unit"] for row in self.sizes]), self.sizes)

    @property
    def mode_columns(self) -> list[Column]:
        """Columns of `modes`."""
        return mode_columns()

    @property
    def modes(self) -> list[dict[str, Any]]:
        """Of each design with several modes, what each comes to."""
        found = []
        for row in self.designs:
            modes = {family: row.figures("area", family).get("modes", ()) for family in COMPARED}
            if all(len(each) > 1 for each in modes.values()):
                found += [_mode_row(row, each) for each in zip(*modes.values(), strict=True)]
        return found

    @property
    def use(self) -> list[dict[str, Any]]:
        """Of each design and number of rows of activations, what of array and bus is used."""
        found = ((row.design.name, m, row.figures("use").get(f"use_{m}")) for row in self.designs for m in ROWS)
        return [{"design": name, "rows": m, "use": use} for name, m, use in found if use is not None]

    @property
    def peers(self) -> list[dict[str, Any]]:
        """Published figures beside ours (`macforge.measure.peers`); none if no design does the same."""
        rows = peers.beside(peers.load_peers(), self.rows)
        return rows if any(row["ours"] for row in rows) else []

    @staticmethod
    def front_columns(front: Front) -> list[Column]:
        """Columns of the choices of a front."""
        return filled(front_columns(), [*front.best, *front.others])

    @staticmethod
    def taken(name: str) -> InReport:
        """How a measurement was taken."""
        return MEASUREMENTS[name].in_report


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _mode_row(row: DesignRow, modes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A mode, as each of the compared families has it."""
    table = {
        "design": row.design.name,
        "product": modes[0]["product"],
        "products": modes[0]["macs_per_cycle"],
    }
    of_family = dict(zip(COMPARED, modes, strict=True))
    columns = (column for column in mode_columns() if column.family)
    return table | {column.key: of_family[column.family][column.name] for column in columns}


def reported_measurements(*, own_model: bool = True, whole: bool = False) -> list[str]:
    """Measurements that a report takes, by their names.

    Parameters
    ----------
    own_model : bool
        Whether to take those of a model of their own.
    whole : bool
        Whether to take those of whole engines and accelerators.
    """
    reported = {name: each.report for name, each in MEASUREMENTS.items() if each.report}
    return [
        name for name, report in reported.items() if (own_model or not report.own_model) and (whole or not report.whole)
    ]


def make_report(designs: Sequence[Design], layer: Layer, **options: Any) -> Report:
    """The complete report; parameters are those of `growing_report`."""
    *_, last = growing_report(designs, layer, **options)
    return last


def growing_report(
    designs: Sequence[Design],
    layer: Layer,
    *,
    families: Sequence[str] = COMPARED,
    measurements: Sequence[str] | None = None,
    candidates: Sequence[Candidate] = (),
    every: float | None = None,
) -> Iterator[Report]:
    """Compute a layer with the RTL of all designs, on as many processes as there are cores, and measure them.

    All designs are verified first, and then measured one after the other. Each step is kept by all that made it: a
    second report computes what has changed. What fails leaves its figures out, and ``failed`` of its row says why; the
    rest goes on.

    Parameters
    ----------
    designs : sequence of Design
    layer : Layer
        Real activations (M, K) and weights (K, N).
    families : sequence of str
        FPGA families to count sizes on, besides those that all designs are compared on.
    measurements : sequence of str, optional
        Keys of `macforge.measure.registry.MEASUREMENTS` that the report takes; by default `reported_measurements`.
    candidates : sequence of Candidate
        Ways to multiply, of which the smallest are found; none to leave the finding out.
    every : float, optional
        Seconds after which it is given again, if no step is done meanwhile.

    Yields
    ------
    Report
        As it is at the beginning, after each step, and in the end.
    """
    names = reported_measurements() if measurements is None else list(measurements)
    growing = _Growing(designs, layer, tuple(dict.fromkeys([*COMPARED, *families])), names, entries(candidates))
    yield growing.report
    for outcome in take_steps(growing.steps, every=every):
        growing.enter(outcome)
        yield growing.report


class _Growing:
    """A report that is being made."""

    def __init__(
        self,
        designs: Sequence[Design],
        layer: Layer,
        families: tuple[str, ...],
        names: Sequence[str],
        ways: list[tuple[Candidate, str]],
    ) -> None:
        self._layer, self._families, self._ways = layer, families, ways
        wanted = tuple(_slots(names, families))
        self._rows = [DesignRow(design=design, wanted=wanted) for design in designs]
        self._of_ways: list[dict[str, Any]] = [{} for _ in ways]
        self._failed_ways: dict[tuple[int, int], str] = {}
        # where the outcome of each step belongs: the number of a design and what it is of, or of a way and its family
        self._places: dict[Step, tuple[int, Slot | str]] = {
            self._step(number, slot): (number, slot) for number, slot in self._order(wanted)
        }
        self._places |= {
            _way_step(way, family): (number, family) for number, way in enumerate(ways) for family in COMPARED
        }
        self._pace = Pace([step.kind for step in self._places], processes=os.cpu_count() or 1)
        self._tools = {**tool_versions(), **commit()}
        self._changed = False

    @property
    def steps(self) -> list[Step]:
        return list(self._places)

    def _order(self, wanted: Sequence[Slot]) -> list[tuple[int, Slot]]:
        """What is measured: first of all whether designs are verified, then everything of one after the other."""
        pairs = [(number, slot) for number in range(len(self._rows)) for slot in wanted]
        return sorted(pairs, key=lambda pair: not pair[1].measurement.has_layer)

    def _step(self, number: int, slot: Slot) -> Step:
        design, measurement = self._rows[number].design, slot.measurement
        given: dict[str, Any] = {}
        if slot.family is not None:
            given["family"] = slot.family
        if "seed" in measurement.axes:
            given["seed"] = 1
        if measurement.has_layer:
            given["layer"] = self._layer
        if "tokens" in measurement.options:
            given["tokens"] = design.report_tokens
        return Step(f"{design.name} {slot.label}", slot.label, measurement.measure_for_report, (design,), given)

    def enter(self, outcome: Outcome | None) -> None:
        """Take in what came of a step, if anything did."""
        self._changed = self._changed or not LOADED.are_unchanged
        if outcome is None:
            return
        step = outcome.step
        self._pace.finish(step.kind, step.label, outcome.seconds)
        number, place = self._places.pop(step)
        if isinstance(place, Slot):
            self._rows[number] = self._rows[number].with_outcome(place, outcome)
        elif outcome.figures is None:
            self._failed_ways[number, COMPARED.index(place)] = f"{step.label}: {outcome.reason}"
        else:
            self._of_ways[number] |= outcome.figures

    @property
    def report(self) -> Report:
        """As far as it has come."""
        act, weight = self._layer.act, self._layer.weight
        waiting = {number for number, place in self._places.values() if not isinstance(place, Slot)}
        # of a way that fails on several families, the first says why
        failed = {number: self._failed_ways[number, place] for number, place in sorted(self._failed_ways, reverse=True)}
        done = [] if waiting else [number for number in range(len(self._ways)) if number not in failed]
        return Report(
            layer=self._layer.name,
            shape=(len(act), weight.shape[1], weight.shape[0]),
            designs=tuple(self._rows),
            families=self._families,
            tools=self._tools,
            state=self._pace.state,
            finding=answer([self._ways[number] for number in done], [self._of_ways[number] for number in done]),
            ways_pending=len(waiting),
            failed_ways=[failed[number] for number in sorted(failed)],
            sources_changed=self._changed,
        )


def _way_step(way: tuple[Candidate, str], family: str) -> Step:
    one, operand = way
    return Step(f"{one.label(operand)} on {family}", f"way on {family}", measure, (way, family))


def _slots(names: Iterable[str], families: Sequence[str]) -> Iterator[Slot]:
    """What is measured of each design: first on no family, then on one after the other."""
    chosen = [name for name in MEASUREMENTS if name in set(names)]
    yield from (Slot(name) for name in chosen if "family" not in MEASUREMENTS[name].axes)
    for family in families:
        for name in chosen:
            if "family" in MEASUREMENTS[name].axes and MEASUREMENTS[name].is_reported_on(family):
                yield Slot(name, family)
