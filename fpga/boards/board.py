"""What a board is: its FPGA, its clock, its serial line, and what of a design fits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Board"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Attributes
    ----------
    name
        Short name, as `fpga.boards.find_board` takes it.
    title
        Name for people.
    family
        A key of `fpga.families.FAMILIES`.
    part
        The device, as its maker calls it.
    clock_mhz
        Clock of the accelerator, in MHz.
    cells
        Rows and columns of the array that fits, unless others are asked for.
    settings
        Keys of a design that fit, each as ``key=value``, ahead of those that are asked for.
    vivado
        What the script for Vivado takes of a Zynq; empty for boards with open tools, which take all that follows.
    platform
        Class of amaranth-boards, as ``module:class``.
    platform_options
        Arguments of that class.
    tool_family
        What nextpnr and the packer call the family, where they need one; empty otherwise.
    synthesis
        Yosys command of the family's flow with ``{options}``, where it is not the family's own.
    dsp
        Whether multipliers may become DSP blocks.
    place_and_route
        Arguments of nextpnr that choose the device.
    pack
        Arguments of what makes the bitstream.
    memory_bytes
        Memory of descriptors, operands and results.
    baud
        Bits a second on the serial line.
    frame_words
        Words of data in a frame, at most.
    leds
        Light-emitting diodes in use.
    """

    name: str
    title: str
    family: str
    part: str
    clock_mhz: float
    cells: int
    settings: tuple[str, ...] = ()
    vivado: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    platform_options: Mapping[str, Any] = field(default_factory=dict)
    tool_family: str = ""
    synthesis: str = ""
    dsp: bool = True
    place_and_route: tuple[str, ...] = ()
    pack: tuple[str, ...] = ()
    memory_bytes: int = 0
    baud: int = 0
    frame_words: int = 0
    leds: int = 0

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any]) -> Board:
        """The board that a data file describes, whose keys are the attributes."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        return cls(name=name, **values)

    @property
    def is_zynq(self) -> bool:
        """Whether a processor drives the accelerator, and the tools are the maker's."""
        return bool(self.vivado)

    @property
    def clock_hz(self) -> int:
        """Clock of the accelerator, in Hz."""
        return round(self.clock_mhz * 1_000_000)

    @property
    def divisor(self) -> int:
        """Cycles of a bit on the serial line."""
        return round(self.clock_hz / self.baud)
