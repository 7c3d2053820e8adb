"""Flip-flops of the families as plain registers: one clock edge, an enable, and a reset in step with the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fpga.map.truth import Net

__all__ = ["Register", "register_of"]

# Nexus: pin of the reset, and what it sets the register to (Yosys's own models, Lattice FPGA-DS-02049).
_NEXUS = {"FD1P3IX": ("CD", "0"), "FD1P3JX": ("PD", "1")}
_TRELLIS = {"CLKMUX": ("CLK",), "LSRMUX": ("LSR",), "SRMODE": ("LSR_OVER_CE",), "CEMUX": ("1", "CE")}
_OTHERS = ("FD1P3BX", "FD1P3DX")


@dataclass(frozen=True, kw_only=True)
class Register:
    """A bit that takes its input at each rising edge of the clock at which it is enabled, unless it is reset.

    Attributes
    ----------
    output, input, clock
    enable
        ``"1"`` if it always is.
    reset
        ``"0"`` if it never is.
    value
        What a reset sets it to, ``"0"`` or ``"1"``.
    """

    output: Net
    input: Net
    clock: Net
    enable: Net
    reset: Net
    value: str

    @property
    def inputs(self) -> tuple[Net, ...]:
        """All nets that it reads."""
        return self.input, *self.control

    @property
    def control(self) -> tuple[Net, Net, Net]:
        """Clock, enable and reset."""
        return self.clock, self.enable, self.reset


def register_of(cell: Mapping[str, Any], constants: Mapping[Net, Net]) -> Register | None:
    """The register that a cell of a netlist is; None if it is none.

    Parameters
    ----------
    cell
        As Yosys's ``write_json`` writes it.
    constants
        Nets that are constant, and their values.

    Raises
    ------
    ValueError
        If it is a flip-flop of another kind.
    """
    kind = cell["type"]
    pins = {pin: constants.get(bits[0], bits[0]) for pin, bits in cell["connections"].items() if bits}
    parameters = {key: value.rstrip() for key, value in cell["parameters"].items()}
    if kind in _NEXUS:
        pin, value = _NEXUS[kind]
        return Register(
            output=pins["Q"], input=pins["D"], clock=pins["CK"], enable=pins["SP"], reset=pins[pin], value=value
        )
    if kind == "TRELLIS_FF":
        if all(parameters.get(key, usual[0]) in usual for key, usual in _TRELLIS.items()):
            return Register(
                output=pins["Q"],
                input=pins["DI"],
                clock=pins["CLK"],
                enable=pins["CE"] if parameters.get("CEMUX", "1") == "CE" else "1",
                reset=pins["LSR"],
                value="1" if parameters.get("REGSET", "RESET") == "SET" else "0",
            )
    elif kind not in _OTHERS:
        return None
    raise ValueError(f"Register must be of a rising edge and a reset in step with it, not {kind} with {parameters}")
