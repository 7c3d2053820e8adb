"""Whole boards in Verilator, which a host opens as it opens a serial port."""

import ctypes
import os
import select
import threading
import tty
from pathlib import Path

from dataflow.board.board import BoardTop
from hw.emit.verilog import emit_verilog
from tb.c_library import Functions, OpenedModel, c_library
from tb.library import model_library

__all__ = ["BoardSimulator"]

_MODEL = Path(__file__).with_name("board_model.cpp")
# Cycles between two looks at the port, and seconds to wait there while the line is still.
_CYCLES = 2000
_PAUSE = 0.002
_BYTES = 4096


class BoardSimulator(OpenedModel):
    """The RTL of a board, its serial line a pseudo-terminal.

    Simulated time passes by itself, in a thread, as fast as the simulator is.

    Parameters
    ----------
    unit : BoardTop
    seed : int
        Of what registers and memory hold in the beginning.
    cycles : int
        How many are to be simulated, about.

    Attributes
    ----------
    port : str
        The device that a host opens.
    """

    closes = "board_close"

    def __init__(self, unit: BoardTop, *, seed: int = 0, cycles: int = 1_000_000) -> None:
        library = model_library(emit_verilog(unit), top=unit.name, model=_MODEL, cycles=cycles)
        self._library = c_library(library, _functions())
        self._model = self._library.board_open(unit.divisor, seed)
        self._ours, self._theirs = os.openpty()
        # or what the board sends would be echoed, and ends of lines changed
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.port = os.ttyname(self._theirs)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; the port is gone then."""
        if self._thread.is_alive():
            self._ends.set()
            self._thread.join()
            os.close(self._ours)
            os.close(self._theirs)
            super().close()

    @property
    def cycles(self) -> int:
        """Cycles since the beginning."""
        return self._library.board_cycles(self._model)

    @property
    def leds(self) -> int:
        """What they show."""
        return self._library.board_leds(self._model)

    @property
    def broken(self) -> int:
        """Bytes that the board has sent without a stop bit."""
        return self._library.board_broken(self._model)

    def _run(self) -> None:
        """Carry bytes between the port and the line, as long as time passes."""
        taken, out = (ctypes.c_uint8 * _BYTES)(), b""
        while not self._ends.is_set():
            still = bool(self._library.board_still(self._model)) and not out
            readable, writable, _ = select.select([self._ours], [self._ours] if out else [], [], _PAUSE if still else 0)
            if readable:
                given = os.read(self._ours, _BYTES)
                self._library.board_send(self._model, given, len(given))
            if writable:
                out = out[os.write(self._ours, out) :]
            self._library.board_run(self._model, _CYCLES)
            out += bytes(taken[: self._library.board_take(self._model, taken, _BYTES)])


def _functions() -> Functions:
    model, long, size = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_size_t
    return {
        "board_open": (model, [ctypes.c_uint, long]),
        "board_close": (None, [model]),
        "board_cycles": (long, [model]),
        "board_leds": (ctypes.c_uint, [model]),
        "board_broken": (ctypes.c_uint, [model]),
        "board_send": (None, [model, ctypes.c_char_p, size]),
        "board_still": (ctypes.c_int, [model]),
        "board_run": (None, [model, long]),
        "board_take": (size, [model, ctypes.POINTER(ctypes.c_uint8), size]),
    }
