"""Builds for boards: what fits is chosen, what cannot be built is one line, and nothing is written then."""

import json
from dataclasses import replace

import pytest

from fpga.boards import BOARDS, bitstream
from macforge.design.design import load_design
from macforge.emit.board import NOT_RUN, board_design, board_unit, generate_board
from macforge.exits import FAILED, WRONG
from tests.typed import present

SMALL = ["array.rows=1", "array.cols=1"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_design_takes_the_size_and_settings_of_the_board(name):
    board = BOARDS[name]
    design = board_design("w8a8_os", board)
    assert (design.array.rows, design.array.cols) == (board.cells, board.cells)
    assert design == load_design("w8a8_os", board.settings).resized(board.cells)


def test_settings_go_over_those_of_the_board():
    board = BOARDS["ice40_hx8k"]
    design = board_design("w8a8_os", board, [*SMALL, "bus.burst=8"])
    assert (design.array.rows, design.array.cols, design.bus.burst, design.bus.data_bits) == (1, 1, 8, 32)


def test_a_baud_rate_that_the_clock_does_not_make_is_refused():
    board = replace(BOARDS["ice40_hx8k"], baud=2_900_000)
    with pytest.raises(ValueError, match=r"^Baud must be within 2 % of what 12 MHz makes, not 2900000$"):
        board_unit(board_design("w8a8_os", board, SMALL), board)


class Made:
    """Takes the place of the tools: gives what is told, and keeps what it is asked for."""

    def __init__(self, monkeypatch, outcome):
        self.asked = None
        self.outcome = outcome
        monkeypatch.setattr(bitstream, "make_bitstream", self)

    def __call__(self, board, verilog, name, *, seed):
        self.asked = board.name, verilog, name, seed
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


RIGHT = bitstream.Bitstream(content=b"\x00bits", suffix="bin", fmax_mhz=50.5, used={"LC": (5, 9)}, tools=("yosys",))


def test_command_writes_all_that_a_host_has_to_know(macforge, monkeypatch, tmp_path):
    made = Made(monkeypatch, RIGHT)
    settings = [word for setting in SMALL for word in ("--set", setting)]
    arguments = ("w8a8_os", "--board", "ice40_hx8k", *settings, "--seed", 3, "-o", tmp_path, "--json")
    code, out, _ = macforge("build", *arguments)
    assert code == 0
    (row,) = json.loads(out)
    assert (row["array"], row["fmax_mhz"], row["run"], row["used"]) == ("1 x 1", 50.5, NOT_RUN, ["5 LC"])
    name = "w8a8_os_ice40_hx8k"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.bin", f"{name}.json", f"{name}.v"]
    assert (tmp_path / f"{name}.bin").read_bytes() == b"\x00bits"
    board, verilog, top, seed = present(made.asked)
    assert (board, top, seed) == ("ice40_hx8k", f"{name}_board", 3)
    assert (tmp_path / f"{name}.v").read_text() == verilog and f"module {top}(clk, rst, rx, tx, led);" in verilog
    told = json.loads((tmp_path / f"{name}.json").read_text())
    target = BOARDS["ice40_hx8k"]
    assert told["digest"] == board_unit(board_design("w8a8_os", target, SMALL), target).layout.digest
    assert (told["run"], told["clock_mhz"], told["used"]["LC"]) == (NOT_RUN, 12.0, {"used": 5, "available": 9})
    assert told["board"]["memory_bytes"] == target.memory_bytes


def test_timing_that_is_missed_is_one_line_and_no_file(macforge, monkeypatch, tmp_path):
    Made(monkeypatch, bitstream.TimingError("Design must reach the 12 MHz of ice40_hx8k, not 9.5 MHz"))
    code, out, error = macforge("build", "w8a8_os", "--board", "ice40_hx8k", "-o", tmp_path)
    assert (code, out) == (FAILED, "")
    assert error.splitlines()[-1] == "macforge: Design must reach the 12 MHz of ice40_hx8k, not 9.5 MHz"
    assert not list(tmp_path.iterdir())


def test_unknown_board_is_one_line(macforge, tmp_path):
    code, _, error = macforge("build", "w8a8_os", "--board", "ulx4s", "-o", tmp_path / "out")
    assert (code, error) == (WRONG, f"macforge: Board must be one of {', '.join(BOARDS)}, not 'ulx4s'\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_default_size_meets_timing():
    """With the tools: what is reached, and that there is room. `make board` does the same for larger boards."""
    board = BOARDS["ice40_hx8k"]
    made = generate_board(board_design("w8a8_os", board), board)
    assert made.bitstream.fmax_mhz >= board.clock_mhz
    # nextpnr knows no number of some buffers of pins
    assert all(used <= available or not available for used, available in made.bitstream.used.values())
    assert made.description["run"] == NOT_RUN
