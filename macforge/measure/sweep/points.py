"""What a sweep comes to: rows of a table, and the points to compute for it, each known by its content."""

import dataclasses
import functools
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hw.core.digest import digest
from macforge.design.design import Design
from macforge.design.plain import set_key
from macforge.measure.registry import MEASUREMENTS
from macforge.measure.sweep.worker import figures_of
from macforge.provenance import made_by, substance

__all__ = ["Point", "Row", "Sweep", "Task", "Tasks"]


class Task(ABC):
    """Something that a worker computes, known by all that it depends on.

    Attributes
    ----------
    measure : str
        Which kind of figures: a field of the subclass.
    """

    measure: str

    @functools.cached_property
    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """All that the figures depend on, `macforge.provenance.made_by` among it, as plain data."""

    @property
    @abstractmethod
    def figures(self) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        """What makes figures of the inputs, in another process."""

    @functools.cached_property
    def key(self) -> str:
        """The digest of `inputs`: equal for what is the same, whatever it is called."""
        return digest(self.inputs)


@dataclass(frozen=True, kw_only=True, eq=False)
class Point(Task):
    """One thing to compute: one kind of figures of one design.

    Parameters
    ----------
    measure : str
        A key of `macforge.measure.registry.MEASUREMENTS`.
    options : dict
        Its options, all of them.
    design : dict
        The design as plain data, settings included; whether it fits together is seen when it is computed.
    cells : int or None
        What the design's array is resized to.
    family : str or None
    seed : int or None
        None if the figures do not depend on it.
    """

    measure: str
    options: Mapping[str, Any]
    design: Mapping[str, Any]
    cells: int | None
    family: str | None
    seed: int | None

    @functools.cached_property
    def inputs(self) -> dict[str, Any]:
        """All that the figures depend on, as plain data."""
        return {**dataclasses.asdict(self), "made_by": made_by()}

    @property
    def figures(self) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        return partial(figures_of, MEASUREMENTS[self.measure].measure)


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """What belongs together in a table of results.

    Parameters
    ----------
    design : str
    settings : dict
        What is set of the design, by key.
    family : str or None
    seed : int or None
        None where no figure depends on it.
    points : dict of str to Task
        By measurement.
    """

    design: str
    settings: Mapping[str, Any]
    family: str | None
    seed: int | None
    points: Mapping[str, Task]

    @property
    def label(self) -> str:
        """Its name in a sentence."""
        settings = [f"{key}={json.dumps(value)}" for key, value in self.settings.items()]
        seed = [] if self.seed is None else [f"seed {self.seed}"]
        return " ".join([self.design, *settings, *filter(None, [self.family]), *seed])


class Tasks(ABC):
    """What is computed together, and kept in the rows of one table.

    Attributes
    ----------
    name : str
        By which results are found again: a field or a property of the subclass.
    """

    name: Any

    @functools.cached_property
    @abstractmethod
    def rows(self) -> list[Row]:
        """The rows of the table."""

    @functools.cached_property
    @abstractmethod
    def points(self) -> Sequence[Task]:
        """Every task once, in the order in which they are begun."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep(Tasks):
    """Designs x settings x families x seeds, and what is measured of each.

    Parameters
    ----------
    name : str
    designs : sequence of Design
    settings : sequence of dict
        Each a set of fields to replace, such as ``{"array.rows": 4}``.
    families : sequence of str
        Keys of `fpga.families.FAMILIES`.
    seeds : sequence of int
    measurements : dict of str to dict
        Options by measurement, all of them, and ``cells``.
    """

    name: str
    designs: Sequence[Design]
    settings: Sequence[Mapping[str, Any]]
    families: Sequence[str]
    seeds: Sequence[int]
    measurements: Mapping[str, Mapping[str, Any]]

    @functools.cached_property
    def rows(self) -> list[Row]:
        """All rows: by design, then settings, family and seed, each in the order given.

        Families and seeds take part where a measurement depends on them.
        """
        return list(self._rows())

    def _rows(self) -> Iterator[Row]:
        families = self.families if _any_depends("family", self.measurements) else [None]
        for design, settings in itertools.product(self.designs, self.settings):
            table = _resolved(design, settings)
            for family in families:
                names = [name for name in self.measurements if family is None or MEASUREMENTS[name].fits(family)]
                if not names:
                    continue
                for seed in self.seeds if _any_depends("seed", names) else [None]:
                    points = {name: self._point(name, table, family, seed) for name in names}
                    yield Row(design=design.name, settings=settings, family=family, seed=seed, points=points)

    @functools.cached_property
    def points(self) -> list[Point]:
        """Every point once.

        Kinds of figures come one after the other, and seeds as well: what two points have in common, such as a
        netlist, is then there for the second instead of being made for both at a time.
        """
        kinds, seeds = list(self.measurements), [None, *self.seeds]
        points = {point.key: point for row in self.rows for point in row.points.values() if isinstance(point, Point)}
        return sorted(points.values(), key=lambda point: (kinds.index(point.measure), seeds.index(point.seed)))

    @property
    def columns(self) -> dict[str, str]:
        """What tables show of the rows of `macforge.measure.sweep.store.Store.table`: key to title."""
        settings = dict.fromkeys(key for each in self.settings for key in each)
        return {
            "design": "design",
            **{f"set.{key}": key for key in settings},
            "family": "family",
            "seed": "seed",
            **{
                f"{name}.{key}": figure.heading
                for name in self.measurements
                for key, figure in MEASUREMENTS[name].figures.items()
            },
            "failed": "failed",
        }

    def _point(self, name: str, table: Mapping[str, Any], family: str | None, seed: int | None) -> Point:
        axes = MEASUREMENTS[name].axes
        options = {**self.measurements[name]}
        return Point(
            measure=name,
            cells=options.pop("cells"),
            options=options,
            design=table,
            family=family if "family" in axes else None,
            seed=seed if "seed" in axes else None,
        )


def _any_depends(axis: str, measurements: Iterable[str]) -> bool:
    return any(axis in MEASUREMENTS[name].axes for name in measurements)


def _resolved(design: Design, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A design with settings as plain data, without what makes no difference."""
    table = design.to_table()
    for key, value in settings.items():
        set_key(table, f"{key}={json.dumps(value, ensure_ascii=False)}")
    return substance(table)
