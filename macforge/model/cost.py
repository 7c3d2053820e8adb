"""What the layers of a model cost on designs: cycles, bytes, time, and which of compute and bandwidth bounds them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from macforge.compile.cost import ProgramCost, cost
from macforge.compile.program import Program
from macforge.model.compiled import compile_for_first
from macforge.model.layer import StoredLayer

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["LayerCost", "ModelCost", "Shared", "check_bus", "model_cost", "programs_of"]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Layers that cost the same: of one type and one shape, on one design.

    Parameters
    ----------
    layers : tuple of str
        Names.
    kind : str
        What the file calls their type.
    design : Design
    program : Program
        Of the first of them.
    """

    layers: tuple[str, ...]
    kind: str
    design: "Design"
    program: Program


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """What one of some layers that cost the same costs.

    Parameters
    ----------
    shared : Shared
    cost : macforge.compile.cost.ProgramCost
    """

    shared: Shared
    cost: ProgramCost

    @property
    def cycles(self) -> int:
        """Of an accelerator whose bus always has a word: the larger of the engine's and the bus's."""
        return self.cost.bound_cycles

    @property
    def bound(self) -> str:
        """What takes as long as the layer: ``compute`` or ``bandwidth``."""
        return "compute" if self.cost.cycles >= self.cost.bus_cycles else "bandwidth"

    def to_table(self) -> dict[str, Any]:
        """Everything as plain data, of one layer."""
        program = self.shared.program
        return {
            "layer": self.shared.layers[0],
            "layers": len(self.shared.layers),
            "type": self.shared.kind,
            "design": self.shared.design.name,
            "k": program.k,
            "n": program.n,
            "rows": self.cost.rows,
            "macs": self.cost.macs,
            "engine_cycles": self.cost.cycles,
            "cycles": self.cycles,
            "bytes": self.cost.bytes,
            "bound": self.bound,
            "macs_per_cycle": self.cost.macs / self.cycles,
            "macs_per_byte": self.cost.macs / self.cost.bytes,
        }


@dataclass(frozen=True, kw_only=True)
class ModelCost:
    """What all layers cost, one after the other, with so many rows of activations.

    Nothing is counted of what lies between layers, nor the some hundred cycles in which a product begins and ends.

    Parameters
    ----------
    rows : int
    layers : tuple of LayerCost
    """

    rows: int
    layers: tuple[LayerCost, ...]

    def total(self, figure: str) -> int:
        """The sum of ``cycles``, ``bytes`` or another of a layer's figures over all layers."""
        return sum(len(one.shared.layers) * one.to_table()[figure] for one in self.layers)

    def seconds(self, clock_mhz: float) -> float:
        """Time at a clock."""
        return self.total("cycles") / clock_mhz / 1e6

    def to_table(self, clock_mhz: float | None = None) -> dict[str, Any]:
        """Sums as plain data; with a clock in MHz, time and rows a second too."""
        table: dict[str, Any] = {"rows": self.rows}
        table |= {name: self.total(name) for name in ("macs", "engine_cycles", "cycles", "bytes")}
        table["macs_per_cycle"] = table["macs"] / table["cycles"]
        if clock_mhz is not None:
            seconds = self.seconds(clock_mhz)
            table |= {"ms": 1000 * seconds, "rows_per_second": self.rows / seconds}
        return table


def check_bus(designs: "Sequence[Design]") -> None:
    """ValueError unless all designs have accelerators, of which bytes are counted."""
    for design in designs:
        if design.target.layout is None:
            raise ValueError(f"Designs must be such that results fit their bus, which those of {design.name} do not")


def programs_of(layers: Iterable[StoredLayer], designs: "Sequence[Design]") -> tuple[list[Shared], dict[str, str]]:
    """Programs of layers, each for the first design that takes it as it is stored, and why some have none.

    Layers of one type and shape share a program, that of the first: what it costs does not depend on its numbers.

    Raises
    ------
    ValueError
        As `check_bus`.
    """
    check_bus(designs)
    groups: dict[tuple, list[StoredLayer]] = {}
    for layer in layers:
        key = (layer.kind, layer.k, layer.n, layer.format.name, layer.group_size, layer.bias is None, layer.act is None)
        groups.setdefault(key, []).append(layer)
    shared, reasons = [], {}
    for alike in groups.values():
        names = tuple(layer.name for layer in alike)
        try:
            design, program = compile_for_first(designs, alike[0])
        except ValueError as error:
            reasons |= dict.fromkeys(names, str(error))
            continue
        shared.append(Shared(layers=names, kind=alike[0].kind, design=design, program=program))
    return shared, reasons


def model_cost(shared: Sequence[Shared], rows: int, *, last_only: Sequence[str] = ()) -> ModelCost:
    """What layers cost with so many rows of activations.

    Parameters
    ----------
    shared : sequence of Shared
    rows : int
    last_only : sequence of str
        Layers that are computed for one row however many there are, such as a decoder's head.
    """
    costs = (LayerCost(shared=one, cost=cost(one.program, 1 if one.layers[0] in last_only else rows)) for one in shared)
    return ModelCost(rows=rows, layers=tuple(costs))
