"""A design on the pins of a board: its clock, its reset, and what the tools are told of its pins."""

from __future__ import annotations

import importlib
from fractions import Fraction
from typing import Any

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, Signal, Value
from amaranth.lib import io

from fpga.boards.board import Board

__all__ = ["TOP", "board_files", "ecp5_pll"]

TOP = "top"
"""Name of the module with the pins."""

# Cycles of the reset: more than the 3 us after which the block RAMs of iCE40 can be read.
_RESET_BITS = 10
# FPGA-DS-02012, 3.19: of the oscillator in the PLL, in MHz.
_VCO = 400, 800
_VCO_BEST = 600
# Of the phase detector's inputs, in MHz, as Project Trellis has it.
_SLOWEST = Fraction("3.125")


def board_files(board: Board, verilog: str, name: str) -> dict[str, str]:
    """What the tools read: a module with the pins, called `TOP`, in RTLIL, and the constraints of the pins.

    Parameters
    ----------
    board
    verilog
        The design, with the ports ``clk``, ``rst``, ``rx``, ``tx`` and ``led``.
    name
        Of its module.
    """
    module, _, kind = board.platform.partition(":")
    platform = getattr(importlib.import_module(module), kind)(**board.platform_options)
    given = platform.default_clk_frequency / 1_000_000
    if board.family != "ecp5" and given != board.clock_mhz:
        raise ValueError(
            f"Clock of a board of {board.family} must be its oscillator, {given:g} MHz, not {board.clock_mhz:g} MHz"
        )
    plan = platform.prepare(_Top(board, name), TOP, emit_src=False)
    kept = {file: text for file, text in plan.files.items() if file.rpartition(".")[2] in ("il", "lpf", "pcf", "cst")}
    return {**kept, "design.v": verilog}


def ecp5_pll(given: Fraction, wanted: Fraction) -> dict[str, Any]:
    """Parameters of EHXPLLL for a clock in MHz out of another one, fed back from its output.

    Raises
    ------
    ValueError
        If no dividers make it.
    """
    ratio = wanted / given
    outputs = sorted(range(1, 129), key=lambda divisor: abs(wanted * divisor - _VCO_BEST))
    output = next((each for each in outputs if _VCO[0] <= wanted * each <= _VCO[1]), None)
    if output is None or given / ratio.denominator < _SLOWEST or ratio.numerator > 80:
        raise ValueError(f"Clock must be one that a PLL makes of {float(given):g} MHz, not {float(wanted):g} MHz")
    return {
        "p_CLKI_DIV": ratio.denominator,
        "p_CLKFB_DIV": ratio.numerator,
        "p_CLKOP_DIV": output,
        "p_CLKOP_ENABLE": "ENABLED",
        "p_CLKOP_CPHASE": output // 2 - 1,
        "p_CLKOP_FPHASE": 0,
        "p_FEEDBK_PATH": "CLKOP",
        "a_FREQUENCY_PIN_CLKI": str(float(given)),
        "a_FREQUENCY_PIN_CLKOP": str(float(wanted)),
        "a_ICP_CURRENT": "12",
        "a_LPF_RESISTOR": "8",
        "a_MFG_ENABLE_FILTEROPAMP": "1",
        "a_MFG_GMCREF_SEL": "2",
    }


class _Top(Elaboratable):
    """The design between pins."""

    def __init__(self, board: Board, name: str) -> None:
        self._board = board
        self._name = name

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        uart = platform.request("uart", 0, dir={"rx": "-", "tx": "-"} | _unused(platform))
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        leds = []
        for index in range(self._board.leds):
            led = io.Buffer("o", platform.request("led", index, dir="-"))
            m.submodules[f"led_{index}"] = led
            leds.append(led.o)
        clock, locked = self._elaborate_clock(m, platform)
        m.domains.sync = ClockDomain("sync", reset_less=True)
        m.d.comb += ClockSignal().eq(clock)
        m.submodules.design = Instance(
            self._name,
            i_clk=ClockSignal(),
            i_rst=self._elaborate_reset(m, locked),
            i_rx=rx.i,
            o_tx=tx.o,
            o_led=Cat(leds),
        )
        return m

    def _elaborate_clock(self, m: Module, platform: Any) -> tuple[Value, Value]:
        """The clock, and whether it is one."""
        given = Fraction(platform.default_clk_frequency) / 1_000_000
        wanted = Fraction(self._board.clock_hz, 1_000_000)
        m.submodules.oscillator = pin = io.Buffer("i", platform.request(platform.default_clk, dir="-"))
        if given == wanted:
            return pin.i, Const(1)
        clock, locked = Signal(name="clock"), Signal(name="locked")
        # which stays as it is
        phase: dict[str, Any] = {f"i_{name}": Const(1) for name in ("PHASEDIR", "PHASESTEP", "PHASELOADREG")}
        phase |= {f"i_{name}": Const(0) for name in ("PHASESEL0", "PHASESEL1", "PLLWAKESYNC", "ENCLKOP")}
        m.submodules.pll = Instance(
            "EHXPLLL",
            **ecp5_pll(given, wanted),
            i_CLKI=pin.i,
            i_CLKFB=clock,
            i_RST=Const(0),
            i_STDBY=Const(0),
            **phase,
            o_CLKOP=clock,
            o_LOCK=locked,
        )
        return clock, locked

    def _elaborate_reset(self, m: Module, locked: Value) -> Value:
        """High from power-up on, where registers are 0, until the clock has been there for some time."""
        steady, count, started = (Signal(bits, name=name) for bits, name in _RESET)
        m.d.sync += [steady.eq(Cat(locked, steady[0])), started.eq(count.all())]
        with m.If(~steady[1]):
            m.d.sync += count.eq(0)
        with m.Elif(~count.all()):
            m.d.sync += count.eq(count + 1)
        return ~started


_RESET = ((2, "steady"), (_RESET_BITS, "reset_cycles"), (1, "started"))


def _unused(platform: Any) -> dict[str, str]:
    """Other pins of the serial line, such as those that a modem has: left alone."""
    known = [one.name for one in platform.lookup("uart", 0).ios if hasattr(one, "ios")]
    return {name: "-" for name in known if name not in ("rx", "tx")}
