"""What a family is: how it is synthesized, placed and routed, and what its primitives occupy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["Cost", "Family", "PlaceAndRoute"]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one primitive occupies.

    Attributes
    ----------
    lut
        Look-up tables of the family's own size that nothing else can use any more.
    area
        What it takes where there are no look-up tables, in the family's unit.
    ff
        Flip-flops or latches.
    dsp
        Multipliers of the size that a DSP block is made for; 0.5 for half of one.
    bram
        Block RAMs of the family's largest size; 0.5 for half of one.
    is_logic
        Whether paths lead through it, from every input to every output; they start and end at all others.
    apart
        Inputs and outputs between which none leads all the same, each pair as ``"I3 O5"``.
    """

    lut: int = 0
    area: float = 0
    ff: int = 0
    dsp: float = 0
    bram: float = 0
    is_logic: bool = False
    apart: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlaceAndRoute:
    """The open place and route tool of a family.

    Attributes
    ----------
    tool
        Name of the executable.
    options
        Arguments that choose the device, its package and its speed grade.
    has_out_of_context
        Whether the tool leaves out pins if told so; ports are taken off the netlist otherwise, which does the same.
    chain
        Primitive of carry chains whose first carry must be left open, its pin for the carry that enters, and its pin
        for the one that leaves; empty if the tool takes a constant there.
    """

    tool: str
    options: tuple[str, ...]
    has_out_of_context: bool = False
    chain: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of FPGAs, or what else gates can be mapped to.

    Attributes
    ----------
    name
        Short name, as `fpga.families.find` takes it.
    title
        Name for people.
    unit
        What the size of a design is counted in, such as ``"LUT4"``.
    flow
        Yosys commands that map a design whose top is known, with ``{options}`` where those below belong.
    flat, hierarchical
        Options for one flat netlist, and for a netlist that keeps the modules and has no I/O buffers.
    with_dsp, without_dsp
        Options to use DSP blocks, and to do without.
    memories
        Labels of the flow where mapping of memories begins, and where what follows does; empty if that takes no time.
    library
        Command that reads some primitives, and the label of the flow behind its reading of all; empty if that takes no
        time.
    complete
        Whether those are all that netlists have, or only those of designs without memories and DSP blocks.
    lut
        Inputs of the look-up tables that processing elements are to be built for, where they leave it open.
    costs
        What each primitive that the flow can leave in a netlist occupies.
    pnr
        Place and route, or None where there is no open one.
    multiplier
        The multiplier of its DSP blocks, where packed products are to be built for that, see
        `pe.packed.packing.MULTIPLIERS`; empty if they are not.
    compared
        Whether designs are compared on it unless asked otherwise.
    add_three
        Whether LUT6_2 and CARRY4 can add three words in one carry chain, see `fpga.map.three`.
    models
        Yosys's models of its cells, which mapped modules are proven with, see `fpga.map.deliver`; empty if no design is
        delivered in cells of the family.
    files
        Texts that the flow reads, by their names. Verilog takes the place of a design's modules of the same names.
    """

    name: str
    title: str
    unit: str
    flow: str
    flat: str = ""
    hierarchical: str = ""
    with_dsp: str = ""
    without_dsp: str = ""
    memories: tuple[str, ...] = ()
    library: tuple[str, ...] = ()
    complete: bool = False
    lut: int = 6
    multiplier: str = ""
    add_three: bool = False
    compared: bool = False
    costs: Mapping[str, Cost]
    pnr: PlaceAndRoute | None = None
    models: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], files: Mapping[str, str] = MappingProxyType({})) -> Family:
        """The family that a data file describes.

        Parameters
        ----------
        name
            Short name.
        table
            ``title``, ``unit``; ``lut``, if it is not 6; ``multiplier``, if there is one; ``add_three``, if so;
            ``models``, if there are any; ``synthesis``, with the flow and its options; ``place_and_route``, if there is
            one, with the attributes of `PlaceAndRoute`; and a list of ``primitives``, each with the ``names`` of some
            and their `Cost`.
        files
            As the family has them.
        """
        costs = {}
        for group in table["primitives"]:
            cost = Cost(**{key: _frozen(value) for key, value in group.items() if key != "names"})
            costs.update(dict.fromkeys(group["names"], cost))
        pnr = table.get("place_and_route", {})
        return cls(
            name=name,
            title=table["title"],
            unit=table["unit"],
            **{key: _frozen(value) for key, value in table["synthesis"].items()},
            lut=table.get("lut", 6),
            multiplier=table.get("multiplier", ""),
            add_three=table.get("add_three", False),
            compared=table.get("compared", False),
            models=table.get("models", ""),
            costs=costs,
            pnr=PlaceAndRoute(**{key: _frozen(value) for key, value in pnr.items()}) if pnr else None,
            files=files,
        )

    @property
    def has_pnr(self) -> bool:
        """Whether an open place and route tool exists for this family."""
        return self.pnr is not None

    def synth(self, *, dsp: bool = False, flatten: bool = False) -> str:
        """Yosys commands that map a design to this family, separated by semicolons."""
        options = (self.flat if flatten else self.hierarchical, self.with_dsp if dsp else self.without_dsp)
        return self.flow.format(options="".join(f" {each}" for each in options if each))

    def quick(self, flow: str, *, memories: bool, dsp: bool) -> str:
        """What makes the same of a design as ``flow``, in less time: libraries of primitives are long.

        Parameters
        ----------
        flow
            One that `synth` gave.
        memories, dsp
            Whether the design has, or may get, any.
        """
        read, begin = "", "begin"
        if self.library and (self.complete or not (memories or dsp)):
            command, begin = self.library
            read = f"{command}; hierarchy -check -auto-top; "
        if self.memories and not memories:
            last, after = self.memories
            return f"{read}{flow} -run {begin}:{last}; {flow} -run {after}:"
        return f"{read}{flow} -run {begin}:" if read else flow

    def cost(self, primitive: str) -> Cost:
        """What ``primitive`` occupies.

        Raises
        ------
        ValueError
            If the family has no rule for it: an unknown primitive never counts as nothing.
        """
        try:
            return self.costs[primitive]
        except KeyError:
            raise ValueError(f"Primitive must be one with a counting rule for {self.name}, not {primitive!r}") from None


def _frozen(value: object) -> Any:
    return tuple(value) if isinstance(value, list) else value
