"""The Verilog that comes out: the same every time, shared, and clean."""

import json
import os
import re
import subprocess
import sys
from functools import cached_property

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from dataflow.array.output_stationary import OutputStationaryArray
from dataflow.array.shape import Shape
from dataflow.array.weight_stationary import WeightStationaryArray
from dataflow.engine.output_stationary import OutputStationaryEngine
from dataflow.engine.tiling import Tiling
from dataflow.engine.weight_stationary import WeightStationaryEngine
from hw.core.naming import DIGEST
from hw.core.unit import Unit, place
from hw.emit.verilog import emit_rtlil, emit_verilog
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
from tb.lint import lint
from tests.quick import few
from tests.typed import present

ARRAYS = [OutputStationaryArray, WeightStationaryArray]
ENGINES = [OutputStationaryEngine, WeightStationaryEngine]
MAC = IntegerMac(act=Int(8), weight=Int(4))
THREE_LANES = IntegerMac(act=Int(4), weight=Int(2, signed=False), lanes=3)


def modules(verilog):
    """Names of all modules, in order."""
    return re.findall(r"^module (\S+?)\(", verilog, re.MULTILINE)


class Register(Unit):
    """``late``: ``early`` of one cycle ago, reset if ``reset``."""

    def __init__(self, *, width: int, reset: bool, called: str) -> None:
        self.reset = reset
        self.called = called
        super().__init__({"early": In(width), "late": Out(width)})

    @property
    def name(self) -> str:
        return self.called

    def circuit(self, platform: object) -> Module:
        m = Module()
        register = Signal.like(self.late, reset_less=not self.reset)
        m.d.sync += register.eq(self.early)
        m.d.comb += self.late.eq(register)
        return m


class Chain(Unit):
    """Registers one after the other."""

    def __init__(self, *, registers: tuple[tuple[int, bool, str], ...]) -> None:
        self.registers = registers
        super().__init__({"early": In(4), "late": Out(4)})

    @property
    def name(self) -> str:
        return "chain"

    def circuit(self, platform: object) -> Module:
        m, value = Module(), self.early
        for index, (width, reset, called) in enumerate(self.registers):
            register = place(m, f"stage_{index}", Register(width=width, reset=reset, called=called))
            m.d.comb += register.early.eq(value)
            value = register.late
        m.d.comb += self.late.eq(value)
        return m


def test_equal_units_share_a_module():
    verilog = emit_verilog(Chain(registers=((4, True, "stage"),) * 5))
    stage = Register(width=4, reset=True, called="stage").module_name
    assert modules(verilog) == ["chain", stage]
    assert len(re.findall(rf"^  {stage} stage_[0-4] \($", verilog, re.MULTILINE)) == 5


def test_different_units_of_one_name_have_modules_of_their_own():
    verilog = emit_verilog(Chain(registers=((4, True, "chain"), (4, False, "chain"), (4, True, "chain"))))
    names = modules(verilog)
    assert len(set(names)) == len(names) == 3
    assert sum(bool(re.fullmatch(rf"chain{DIGEST}", name)) for name in names) == 2
    assert "chain" in names


class Namesake(Register):
    """Calls its module as others might be called too."""

    @cached_property
    def module_name(self) -> str:
        return self.called


def test_different_units_of_one_module_name_are_refused(monkeypatch):
    monkeypatch.setitem(Chain.circuit.__globals__, "Register", Namesake)
    with pytest.raises(ValueError, match=r"^Two different units are both called stage$"):
        emit_verilog(Chain(registers=((4, True, "stage"), (4, False, "stage"))))


def test_top_is_called_as_asked_for_and_nothing_else_changes():
    unit = Chain(registers=((4, True, "stage"), (4, True, "chain")))
    plain = emit_verilog(unit)
    for name in ("mine", unit.module_name):
        expected = plain.replace("module chain(", f"module {name}(").replace("// chain,", f"// {name},")
        assert emit_verilog(unit, name=name) == expected != plain


@pytest.mark.parametrize(
    ("registers", "ports"),
    [
        ((), ["early", "late"]),
        (((4, False, "stage"),), ["clk", "early", "late"]),
        (((4, True, "stage"),), ["clk", "rst", "early", "late"]),
        (((4, False, "data"), (4, True, "control")), ["clk", "rst", "early", "late"]),
    ],
)
def test_ports_are_in_order_and_those_that_are_used(registers, ports):
    verilog = emit_verilog(Chain(registers=registers))
    header = present(re.search(r"^module chain\((.*?)\);$", verilog, re.MULTILINE | re.DOTALL))
    assert re.split(r",\s*", header[1]) == ports


def test_ports_of_a_shared_module_are_those_of_its_own_registers():
    verilog = emit_verilog(Chain(registers=((4, False, "data"), (4, True, "control"))))
    assert re.search(rf"^module data{DIGEST}\(clk, early, late\);$", verilog, re.MULTILINE)
    assert re.search(rf"^module control{DIGEST}\(clk, rst, early, late\);$", verilog, re.MULTILINE)


EMIT = """
import json
import sys
from dataflow.array.shape import Shape
from dataflow.engine.output_stationary import OutputStationaryEngine
from dataflow.engine.tiling import Tiling
from dataflow.engine.weight_stationary import WeightStationaryEngine
from hw.emit.verilog import emit_verilog
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import Int
unit = dict(
    pe=IntegerMac(act=Int(4), weight=Int(2, signed=False), lanes=3),
    shape=Shape(rows=3, cols=2),
    accumulator=Accumulator(16),
    tiling=Tiling(max_k=64),
    drain=None,
)
json.dump([emit_verilog(engine(**unit)) for engine in (OutputStationaryEngine, WeightStationaryEngine)], sys.stdout)
"""


def test_verilog_is_the_same_every_time():
    unit = {
        "pe": THREE_LANES,
        "shape": Shape(rows=3, cols=2),
        "accumulator": Accumulator(16),
        "tiling": Tiling(max_k=64),
        "drain": None,
    }
    verilogs = []
    for engine in ENGINES:
        # which leaves behind units that both have
        emit_verilog(engine(**{**unit, "shape": Shape(rows=4, cols=4, tile_rows=2)}))
        verilogs.append(emit_verilog(engine(**unit)))
        assert emit_verilog(engine(**unit)) == verilogs[-1]
    for seed in ("1", "2"):
        elsewhere = subprocess.run(
            [sys.executable, "-c", EMIT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        assert json.loads(elsewhere.stdout) == verilogs


LINTED = [
    (MAC, Shape(rows=1, cols=1), Accumulator(24), 0),
    (MAC, Shape(rows=3, cols=5), Accumulator(12, "wrap"), 8),
    (MAC, Shape(rows=4, cols=4, tile_rows=2, tile_cols=4), Accumulator(14, "saturate"), 0),
    (MAC, Shape(rows=9, cols=2), Accumulator(24), 0),
    (THREE_LANES, Shape(rows=3, cols=2), Accumulator(16), 9),
    (THREE_LANES, Shape(rows=4, cols=4, tile_rows=4, tile_cols=2), Accumulator(6, "saturate"), 0),
    (THREE_LANES, Shape(rows=1, cols=6, tile_cols=3), Accumulator(16, "wrap"), 4),
    (IntegerMac(act=Int(1), weight=Int(1)), Shape(rows=2, cols=2), Accumulator(8), 0),
    (IntegerMac(act=Int(4), weight=Int(4), dsp="auto"), Shape(rows=2, cols=2), Accumulator(16), 0),
]


@pytest.mark.parametrize(
    ("pe", "shape", "accumulator", "group_size"),
    few(LINTED, 3),
    ids=[f"{pe.core(acc).name}_{shape.name}_g{group}" for pe, shape, acc, group in LINTED],
)
@pytest.mark.parametrize("kind", [*ARRAYS, *ENGINES], ids=lambda kind: kind.__name__)
def test_verilog_is_clean(kind, pe, shape, accumulator, group_size):
    tiling = {"tiling": Tiling(max_k=40, group_size=group_size), "drain": None} if kind in ENGINES else {}
    unit = kind(pe=pe, shape=shape, accumulator=accumulator, **tiling)
    assert lint(emit_verilog(unit), unit.name) == ""


def test_lint_finds_what_is_not_clean():
    sound = emit_verilog(Chain(registers=((4, True, "stage"),)))
    spoilt = sound.replace("input [3:0] early;", "input [4:0] early;", 1)
    assert spoilt != sound
    assert lint(sound, "chain") == ""
    assert "%Warning-" in lint(spoilt, "chain")


@pytest.mark.parametrize(("kind", "most"), few([(WeightStationaryArray, 18), (OutputStationaryArray, 16)], 2))
def test_large_array_is_a_few_small_modules(kind, most):
    pe = IntegerMac(act=Int(8), weight=Int(8))
    verilog = emit_verilog(kind(pe=pe, shape=Shape(rows=64, cols=64), accumulator=Accumulator(32)))
    names = modules(verilog)
    assert len(names) == len(set(names)) <= most
    assert len(verilog) <= 1_000_000


def test_rtlil_for_others_is_that_of_a_plain_component():
    unit = Chain(registers=((4, True, "stage"),) * 3)
    assert len(re.findall(rf"^module \\stage{DIGEST}$", emit_rtlil(unit), re.MULTILINE)) == 1
    # a user's own conversion knows nothing of sharing
    plain = rtlil.convert(Chain(registers=((4, True, "stage"),) * 3), name="chain", emit_src=False)
    assert len(re.findall(r"^module \\chain\.stage_[0-2]$", plain, re.MULTILINE)) == 3
