"""Accelerators in Verilator with a memory in C++: no Python runs while time passes."""

import ctypes
from pathlib import Path

import numpy as np

from dataflow.accelerator.accelerator import Accelerator
from hw.emit.verilog import emit_verilog
from tb.c_library import Functions, OpenedModel, bytes_at, c_library
from tb.library import model_library

__all__ = ["BusSimulator"]

_MODEL = Path(__file__).with_name("bus_model.cpp")


class BusSimulator(OpenedModel):
    """An accelerator, a memory, and access to registers.

    Parameters
    ----------
    unit : Accelerator
    memory : uint8 array
        Copied; `memory` is what it becomes.
    base : int
        Address of its first byte.
    latency : int
        Cycles from a burst's address to its first word.
    stalls : float
        Probability, in each cycle and on each channel, of the memory not being ready.
    seed : int
        Of the stalls, and of what registers hold in the beginning.
    cycles : int
        How many are to be simulated, about.
    verilog : str
        Text with a module of the unit's name in place of the unit's own, such as a mapped netlist.
    plusarg : str
        For Verilog that looks for one, such as ``+mutant=1``.
    """

    closes = "bus_close"

    def __init__(
        self,
        unit: Accelerator,
        memory: np.ndarray,
        *,
        base: int = 0,
        latency: int = 40,
        stalls: float = 0.0,
        seed: int = 0,
        cycles: int = 1_000_000,
        verilog: str = "",
        plusarg: str = "",
    ) -> None:
        library = model_library(verilog or emit_verilog(unit), top=unit.name, model=_MODEL, cycles=cycles)
        self._library = c_library(library, _functions())
        self._model = self._library.bus_open(
            base, len(memory), unit.bus.word_bytes, latency, stalls, seed, plusarg.encode()
        )
        self.memory = bytes_at(self._library.bus_memory(self._model), len(memory))
        self.memory[:] = memory

    @property
    def _open(self) -> int:
        if self._model is None:
            raise ValueError("Simulator must not be used after it is closed")
        return self._model

    @property
    def cycles(self) -> int:
        """Cycles since the beginning."""
        return self._library.bus_cycles(self._open)

    @property
    def interrupt(self) -> bool:
        """The line."""
        return bool(self._library.bus_interrupt(self._open))

    @property
    def broken(self) -> str:
        """The rule of AXI that the accelerator has broken, if any."""
        return (self._library.bus_broken(self._open) or b"").decode()

    def c_functions(self) -> tuple[int, int, int]:
        """Addresses of C functions that read and write a register, and what they take as first argument."""
        read, write = (
            ctypes.cast(getattr(self._library, name), ctypes.c_void_p).value or 0 for name in ("bus_read", "bus_write")
        )
        return read, write, self._open

    def run(self, cycles: int) -> None:
        """Let time pass."""
        self._library.bus_run(self._open, cycles)

    def read(self, offset: int) -> int:
        """A register."""
        return self._library.bus_read(self._open, offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        self._library.bus_write(self._open, offset, value)


def _functions() -> Functions:
    word, long, model = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
    return {
        "bus_open": (model, [long, long, ctypes.c_uint, long, ctypes.c_double, long, ctypes.c_char_p]),
        "bus_close": (None, [model]),
        "bus_memory": (ctypes.c_void_p, [model]),
        "bus_cycles": (long, [model]),
        "bus_interrupt": (ctypes.c_int, [model]),
        "bus_broken": (ctypes.c_char_p, [model]),
        "bus_run": (None, [model, long]),
        "bus_read": (word, [model, word]),
        "bus_write": (None, [model, word, word]),
    }
