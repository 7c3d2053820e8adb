"""The simulator that knows what is unknown: it finds what the other takes for 0."""

import shutil
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from amaranth.hdl import Module, Signal

from dataflow.array.shape import Shape
from dataflow.engine.output_stationary import OutputStationaryEngine
from dataflow.engine.tiling import Tiling
from hw.core.ram import Ram
from hw.emit.verilog import emit_verilog
from pe.base import Core
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator
from sw_ref.engine.product import Product
from sw_ref.formats.base import Int
from tb.engine import simulate_engine
from tb.runner import Bench, SimulationError, run_bench

TOGGLE = """
module toggle(input clk, input rst, input hold, output reg [1:0] state);
  always @(posedge clk) begin
    state[0] <= rst ? 1'b0 : !state[0];
    if (!hold) state[1] <= !state[1];
  end
endmodule
"""


def toggle(counted, **changes):
    """A bench of two bits of which only the low one is reset; ``counted`` tells of each whether it counts."""
    arrays = {
        "reset": np.arange(4) == 0,
        "in_hold": np.zeros((4, 1), int),
        "expected_state": np.array([[0, 0], [0, 0], [-1, 0], [0, 0]]),
        "counted_state": np.outer(np.arange(4) > 0, counted),
    }
    settings = {"ports": {"hold": {"hold": 1}, "state": {"state": 1}}}
    fields = {"verilog": TOGGLE, "top": "toggle", "module": "tb.cycles_bench", "settings": settings, "arrays": arrays}
    return run_bench(Bench(**{**fields, "cycles": 4, "simulator": "icarus", **changes}))


def memory(counted):
    """A bench of a memory whose word 1 is written in cycle 1, and read all the time; which cycle's word counts."""
    ram = Ram(width=4, depth=2)
    words = {"write_address": [1] * 5, "write_data": [5] * 5, "write": [0, 1, 0, 0, 0], "read_address": [1] * 5}
    arrays = {f"in_{port}": np.array(each)[:, None] for port, each in words.items()}
    arrays |= {"reset": np.zeros(5, bool), "expected_read_data": np.full((5, 1), 5)}
    arrays["counted_read_data"] = (np.arange(5) == counted)[:, None]
    widths = {"write_address": 1, "write_data": 4, "write": 1, "read_address": 1, "read_data": 4}
    settings = {"ports": {port: {port: width} for port, width in widths.items()}}
    fields = {"verilog": emit_verilog(ram), "top": ram.name, "module": "tb.cycles_bench", "settings": settings}
    return run_bench(Bench(**fields, arrays=arrays, cycles=5, simulator="icarus"))


def test_word_that_is_read_while_it_is_written_is_unknown():
    assert memory(4).failure is None
    assert memory(3).failure == "read_data: 1 of 1 values hold X or Z, the first in cycle 3, slot 0"


def test_registers_start_unknown_and_stay_so_without_a_reset():
    assert toggle([True, False]).failure is None
    failure = toggle([True, True]).failure
    assert failure == "state: 3 of 6 values hold X or Z, the first in cycle 1, slot 1"


def test_what_is_unknown_counts_as_zero_in_what_came():
    assert toggle([True, False]).arrays["state"].tolist()[1:] == [[0, 0], [-1, 0], [0, 0]]


@dataclass(frozen=True, kw_only=True)
class LeansOnLuck(IntegerMac):
    """Adds a register that nothing ever sets, exclusive-or itself: 0 for whoever knows only 0 and 1."""

    family: ClassVar[str] = "leans_on_luck"

    def core(self, accumulator):
        return _LeansOnLuck(pe=self, accumulator=accumulator)


class _LeansOnLuck(Core):
    def circuit(self, platform: object) -> Module:
        m = Module()
        never = Signal(len(self.sum), reset_less=True)
        m.d.sync += never.eq(never)
        product = self.act.as_signed() * self.weight.as_signed()
        m.d.comb += self.sum.eq(self.addend.as_signed() + product + (never ^ never))
        return m


@pytest.mark.parametrize(
    ("kind", "simulator", "failure"),
    [
        (IntegerMac, "verilator", None),
        (IntegerMac, "icarus", None),
        (LeansOnLuck, "verilator", None),
        (
            LeansOnLuck,
            "icarus",
            "product 3 x 2 x 5: 6 of 6 results hold X or Z, the first in row 0, column 0",
        ),
    ],
)
def test_only_one_simulator_finds_results_that_lean_on_luck(kind, simulator, failure):
    engine = OutputStationaryEngine(
        pe=kind(act=Int(4), weight=Int(4)),
        shape=Shape(rows=2, cols=2),
        accumulator=Accumulator(16),
        tiling=Tiling(max_k=16),
        drain=None,
    )
    random = np.random.default_rng(0)
    product = Product(act=random.integers(0, 16, (3, 5)), weight=random.integers(0, 16, (5, 2)))
    outcome, done = simulate_engine(engine, [product, product.under(stalls=0.3)], simulator=simulator)
    assert outcome.failure == failure
    assert len(done) == 2


def test_missing_simulator_is_told_with_its_package(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(
        SimulationError, match=r"^Icarus Verilog \(iverilog\) is missing: sudo apt-get install iverilog$"
    ):
        toggle([True, False])


def test_broken_verilog_is_told_with_its_top():
    with pytest.raises(SimulationError, match=r"^Icarus Verilog could not build toggle: "):
        toggle([True, False], verilog=TOGGLE.replace("endmodule", ""))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"simulator": "modelsim"}, r"^Simulator must be verilator or icarus, not 'modelsim'$"),
        ({"waves": "vcd"}, r"^Waves must be left out with icarus, not 'vcd'$"),
    ],
)
def test_requests_that_no_simulator_serves(changes, message):
    with pytest.raises(ValueError, match=message):
        toggle([True, False], **changes)
