"""What a report knows of a design: the figures that have been measured, and which are still to come."""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from macforge.design.design import Design
from macforge.measure.registry import MEASUREMENTS, Measurement
from macforge.measure.steps import Outcome

__all__ = ["DesignRow", "Slot", "operand_name", "product_name"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Slot(NamedTuple):
    """One measurement of a design, on one FPGA family if it depends on that."""

    name: str
    family: str | None = None

    @property
    def measurement(self) -> Measurement:
        """Its entry in the registry."""
        return MEASUREMENTS[self.name]

    @property
    def label(self) -> str:
        """What it is, for people."""
        title = self.measurement.title or self.name
        return title if self.family is None else f"{title} on {self.family}"

    def key(self, figure: str) -> str:
        """The key of one of its figures in the row of a design."""
        return figure if self.family is None else f"{self.family}_{figure}"


@dataclass(frozen=True, kw_only=True, eq=False)
class DesignRow:
    """A design in a report.

    Parameters
    ----------
    design : Design
    wanted : sequence of Slot
        What is measured of it.
    found : dict of Slot to dict
        The figures that there are.
    reasons : dict of Slot to str
        Why some have failed.
    """

    design: Design
    wanted: tuple[Slot, ...]
    found: Mapping[Slot, Mapping[str, Any]] = field(default_factory=dict)
    reasons: Mapping[Slot, str] = field(default_factory=dict)

    def with_outcome(self, slot: Slot, outcome: Outcome) -> "DesignRow":
        """The row when a measurement is done, or has failed."""
        if outcome.figures is None:
            return dataclasses.replace(self, reasons={**self.reasons, slot: outcome.reason})
        return dataclasses.replace(self, found={**self.found, slot: outcome.figures})

    def figures(self, name: str, family: str | None = None) -> Mapping[str, Any]:
        """Those of one measurement; empty if there are none, or none yet."""
        return self.found.get(Slot(name, family), _NOTHING)

    @property
    def pending(self) -> list[Slot]:
        """What is still to come."""
        return [slot for slot in self.wanted if slot not in self.found and slot not in self.reasons]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is still to come."""
        return not self.pending

    @property
    def failed(self) -> str | None:
        """Why there are not all figures, each reason once; None if nothing has failed."""
        told: dict[str, str] = {}
        for slot in self.wanted:
            if slot in self.reasons:
                told.setdefault(self.reasons[slot], f"{slot.label}: {self.reasons[slot]}")
        return "; ".join(told.values()) or None

    @functools.cached_property
    def table(self) -> dict[str, Any]:
        """The figures that tables show, by their keys; None where there is none.

        ``pending`` lists the keys of figures that are still to come, ``measured`` has everything that was measured.
        """
        figures = {
            slot.key(key): self.found.get(slot, _NOTHING).get(key)
            for slot in self.wanted
            for key in slot.measurement.reported
        }
        return {
            "design": self.design.name,
            "pe": self.design.family,
            "dataflow": self.design.dataflow.replace("_", "-"),
            "product": product_name(self.design),
            **{side: operand_name(self.design, side) for side in ("act", "weight")},
            **figures,
            "failure": self.figures("layer").get("failure"),
            "predicted_cycles": self.figures("layer").get("predicted_cycles"),
            "failed": self.failed,
            "pending": [slot.key(key) for slot in self.pending for key in slot.measurement.reported],
            "measured": {slot.key(slot.name): dict(self.found[slot]) for slot in self.wanted if slot in self.found},
        }


def operand_name(design: Design, side: str) -> str:
    """What an operand (``"act"`` or ``"weight"``) is quantized to, whatever it is that cells are given of it."""
    choice = getattr(design.quantizer, side)
    name: str = choice.format or getattr(design, side)
    return {"mixed": f"{name}, {choice.wide}", "bcq": f"{choice.planes} of {name}"}.get(choice.method, name)


def product_name(design: Design) -> str:
    """What a cell multiplies, in the mode with the most products a cycle."""
    mode = max(design.pe.modes, key=lambda mode: mode.lanes)
    return f"{mode.act.name} x {mode.weight.name}"
