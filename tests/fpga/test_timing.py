"""Clock frequencies come per seed, from register to register, and only where open tools exist."""

import pytest

from fpga.timing import Timing, place_and_route
from hw import tools

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
COMBINATIONAL = "module inverter(input clk, input a, output b); assign b = ~a; endmodule\n"


def test_each_seed_has_its_frequency():
    result = place_and_route(ADDER, top="adder", seeds=(1, 2, 3))
    assert (result.top, result.family, result.tool) == ("adder", "ecp5", "nextpnr 0.11.1")
    assert list(result.fmax_mhz) == [1, 2, 3]
    assert all(fmax > 0 for fmax in result.fmax_mhz.values())
    assert result.median_mhz == sorted(result.fmax_mhz.values())[1]


def test_median_of_an_even_number_of_seeds():
    fmax_mhz = {1: 100.0, 2: 130.0, 3: 110.0, 4: 90.0}
    assert Timing(top="t", family="ecp5", tool="nextpnr", fmax_mhz=fmax_mhz).median_mhz == 105.0


def test_a_seed_gives_the_same_frequency_again_and_is_run_once(tmp_path, monkeypatch):
    before = place_and_route(ADDER, top="adder", seeds=(2,))
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    again = place_and_route(ADDER, top="adder", seeds=(2,))
    assert again == before
    monkeypatch.setattr(tools, "run", lambda *_args, **_named: pytest.fail("run again"))
    assert place_and_route(ADDER, top="adder", seeds=(2,)) == again
    with pytest.raises(pytest.fail.Exception, match=r"^run again$"):
        place_and_route(ADDER, top="adder", seeds=(3,))


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
    assert place_and_route(renamed, top="adder", clock="tick").median_mhz > 0


def test_a_family_without_open_place_and_route_is_refused():
    with pytest.raises(ValueError, match=r"^Family must be one with open place and route \(ecp5\), not 'xc7'$"):
        place_and_route(ADDER, top="adder", family="xc7")


def test_no_seed_is_refused():
    with pytest.raises(ValueError, match=r"^Seeds must hold at least one number, not none$"):
        place_and_route(ADDER, top="adder", seeds=())
