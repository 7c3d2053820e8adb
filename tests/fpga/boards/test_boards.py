"""Boards: their data is complete, their pins are those of amaranth-boards, and timing that is missed is an error."""

import re
from dataclasses import replace
from fractions import Fraction

import pytest

from fpga.boards import BOARDS, find_board
from fpga.boards.bitstream import TimingError, make_bitstream
from fpga.boards.top import board_files, ecp5_pll
from fpga.families import FAMILIES
from hw.emit import tools

OPEN = [name for name, board in BOARDS.items() if not board.is_zynq]
# An echo, and a counter whose chain of carries is as long as asked for.
ECHO = """
module echo(input clk, input rst, input rx, output reg tx, output [1:0] led);
  reg [15:0] count;
  reg [{bits}:0] wide;
  assign led = {{wide[{bits}], tx}};
  always @(posedge clk) begin
    tx <= rst | rx;
    count <= rst ? 0 : count + 1;
    wide <= rst ? 0 : wide + {{count, rx}};
  end
endmodule
"""


def test_unknown_boards_are_refused():
    with pytest.raises(ValueError, match=r"^Board must be one of \w+(, \w+)*, not 'ulx4s'$"):
        find_board("ulx4s")


@pytest.mark.parametrize("name", BOARDS)
def test_data_is_complete(name):
    board = find_board(name)
    assert board.name == name
    assert board.family in FAMILIES and board.title and board.part and board.cells > 0
    if board.is_zynq:
        assert all(board.vivado.values())
        return
    pnr = FAMILIES[board.family].pnr
    assert pnr is not None
    assert board.memory_bytes & (board.memory_bytes - 1) == 0 < board.memory_bytes
    # a bit is off by as little as the tenth of them stands
    assert abs(board.clock_hz / board.divisor / board.baud - 1) < 0.01


@pytest.mark.parametrize("name", OPEN)
def test_pins_are_those_of_the_board(name):
    """The serial line's and the diodes', as amaranth-boards has them, each once; and the oscillator's frequency."""
    board = find_board(name)
    files = board_files(board, "", "echo")
    (kind,) = (kind for kind in ("lpf", "pcf", "cst") if f"top.{kind}" in files)
    text = files[f"top.{kind}"]
    expected = {
        "ulx3s_85f": {"rx": "M1", "tx": "L4", "led_0": "B2", "led_1": "C2", "clk25": "G2"},
        "tang_primer_20k": {"rx": "T13", "tx": "M11", "led_0": "C13", "led_1": "A13", "clk27": "H11"},
        "ice40_hx8k": {"rx": "B10", "tx": "B12", "led_0": "C3", "led_1": "B3", "clk12": "J3"},
    }[name]
    places = [line for line in text.splitlines() if line.startswith(("LOCATE", "set_io", "IO_LOC"))]
    assert len(places) == len(expected)
    for port, pin in expected.items():
        (line,) = (line for line in places if port in line)
        assert line.replace('"', "").replace(";", "").split()[-1] == pin
    # the same on every run
    assert board_files(board, "", "echo") == files


@pytest.mark.parametrize("wanted", [50, 40, 75])
def test_a_pll_is_set_as_its_own_tool_sets_it(wanted, tmp_path):
    """ecppll of Project Trellis: its dividers, and what its designers found the filter to need."""
    tools.run([tools.find("yowasp-ecppll"), "-i", "25", "-o", str(wanted), "-f", "pll.v"], cwd=tmp_path)
    text = (tmp_path / "pll.v").read_text()
    found = dict(re.findall(r"\.(\w+)\(\"?([\w']+)\"?\)", text)) | dict(re.findall(r'(\w+)="([\d.]+)"', text))
    settings = ecp5_pll(Fraction(25), Fraction(wanted))
    # which it rounds now up and now down, and nothing here depends on
    del settings["p_CLKOP_CPHASE"]
    for name, value in settings.items():
        assert float(found[name[2:]]) == float(value) if str(value)[0].isdigit() else found[name[2:]] == value, name


def test_a_pll_makes_the_clock():
    found = ecp5_pll(Fraction(25), Fraction(125, 2))
    assert Fraction(25 * found["p_CLKFB_DIV"], found["p_CLKI_DIV"]) == Fraction(125, 2)
    assert 400 <= 62.5 * found["p_CLKOP_DIV"] <= 800
    for wanted in (900, 48):
        with pytest.raises(ValueError, match=rf"^Clock must be one that a PLL makes of 25 MHz, not {wanted} MHz$"):
            ecp5_pll(Fraction(25), Fraction(wanted))


def test_other_clocks_need_a_pll():
    board = replace(find_board("ice40_hx8k"), clock_mhz=24.0)
    with pytest.raises(ValueError, match=r"^Clock of a board of ice40 must be its oscillator, 12 MHz, not 24 MHz$"):
        board_files(board, "", "echo")


@pytest.mark.long
def test_a_bitstream_is_made_and_is_the_same_again(monkeypatch, tmp_path):
    board = find_board("ice40_hx8k")
    made = []
    for folder in ("one", "two"):
        monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path / folder))
        made.append(make_bitstream(board, ECHO.format(bits=3), "echo"))
    assert made[0] == made[1]
    # an iCE40 bitstream's preamble behind its comment, and all of the device's frames
    assert b"\x7e\xaa\x99\x7e" in made[0].content[:64] and len(made[0].content) > 130_000
    assert made[0].fmax_mhz > 12 and made[0].used["ICESTORM_LC"][0] > 16


@pytest.mark.long
def test_a_clock_that_is_not_reached_is_an_error_with_the_one_that_is(monkeypatch, tmp_path):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    message = r"^Design must reach the 12 MHz of ice40_hx8k, not \d\.\d MHz; a smaller array or another --seed may$"
    with pytest.raises(TimingError, match=message):
        make_bitstream(find_board("ice40_hx8k"), ECHO.format(bits=999), "echo")
    assert not list((tmp_path / "bitstream").rglob("top.bin"))
