"""Folders for a Zynq: Tcl runs the script with stand-ins for Vivado, and Verilator lints the Verilog."""

import re

import pytest

from fpga.boards import BOARDS
from macforge.emit.board import board_design
from macforge.emit.zynq import generate_zynq
from tests.macforge.emit.tools import lint

NAME = "w4a4_os"
ZYNQS = [name for name, board in BOARDS.items() if board.is_zynq]
COMMANDS = """
    create_project get_board_parts current_project set_property add_files update_compile_order create_bd_design
    create_bd_cell apply_bd_automation get_bd_cells connect_bd_intf_net get_bd_intf_pins connect_bd_net get_bd_pins
    assign_bd_address get_bd_addr_segs validate_bd_design save_bd_design get_files make_wrapper get_filesets
"""


@pytest.fixture(scope="module", params=ZYNQS)
def built(request, tmp_path_factory):
    """A board, and the folder of a small design for it."""
    board = BOARDS[request.param]
    folder = tmp_path_factory.mktemp("zynq")
    generate_zynq(board_design(NAME, board, ["array.rows=2", "array.cols=2"]), board).write(folder)
    return board, folder / f"{NAME}_{board.name}"


def vivado(script, *, boards="board:1.0 board:1.1"):
    """The commands of Vivado that the script calls, each with its arguments."""
    tcl = pytest.importorskip("tkinter").Tcl()
    calls = []

    def called(name, *words):
        calls.append((name, *words))
        if name == "get_board_parts":
            return boards
        # what these find or make is called as they look for it
        return words[-1] if name.startswith(("get_", "make_")) else ""

    for name in COMMANDS.split():
        tcl.createcommand(name, lambda *words, name=name: called(name, *words))
    tcl.eval(f"set argv {{}}; set argc 0; source {{{script}}}")
    return calls


def test_folder_has_all_files(built):
    _board, folder = built
    assert sorted(path.name for path in folder.iterdir()) == [
        "vivado.tcl",
        f"{NAME}_accelerator.json",
        f"{NAME}_accelerator.v",
    ]


def test_script_joins_every_interface_of_the_accelerator(built):
    board, folder = built
    calls = vivado(folder / "vivado.tcl")
    assert calls[0] == ("create_project", f"{NAME}_accelerator", str(folder / "vivado"), "-part", board.part)
    assert ("set_property", "board_part", "board:1.1", "current_project") in [
        (*call[:3], "current_project") for call in calls
    ]
    joined = {frozenset(call[1:]) for call in calls if call[0] == "connect_bd_intf_net"}
    assert joined == {
        frozenset(pair)
        for pair in (
            ("accelerator/m_axi", "to_memory/S00_AXI"),
            ("to_memory/M00_AXI", f"ps/{board.vivado['memory']}"),
            (f"ps/{board.vivado['registers']}", "to_registers/S00_AXI"),
            ("to_registers/M00_AXI", "accelerator/s_axi_ctrl"),
        )
    }
    pins = [call[1:] for call in calls if call[0] == "connect_bd_net"]
    assert {to for start, to in pins if start == f"ps/{board.vivado['clock']}"} == {
        "accelerator/clk",
        "reset/slowest_sync_clk",
        "to_memory/aclk",
        "to_registers/aclk",
        f"ps/{board.vivado['memory_clock']}",
        f"ps/{board.vivado['registers_clock']}",
    }
    assert ("reset/peripheral_reset", "accelerator/rst") in pins
    assert ("accelerator/irq", f"ps/{board.vivado['interrupt']}") in pins
    # whatever is joined has been made
    made = {call[-1] for call in calls if call[0] == "create_bd_cell"}
    assert {end.partition("/")[0] for pair in (*joined, *pins) for end in pair} == made
    assert calls[-1][0] == "update_compile_order" and ("validate_bd_design",) in calls


def test_script_sets_the_processors_up(built):
    board, folder = built
    calls = vivado(folder / "vivado.tcl")
    settings = next(call[2] for call in calls if call[:2] == ("set_property", "-dict") and call[3] == "ps")
    words = settings.split()
    assert len(words) % 2 == 0 and all(word.startswith("CONFIG.") for word in words[::2])
    assert ("set_property", board.vivado["clock_setting"], f"{board.clock_mhz:g}", "ps") in calls
    assert ("assign_bd_address",) in calls
    offset = next(call for call in calls if call[:2] == ("assign_bd_address", "-offset"))
    assert offset[2:] == (board.vivado["register_address"], "-range", "4K", "accelerator/s_axi_ctrl/reg0")


def test_a_board_that_vivado_does_not_know_is_an_error(built):
    board, folder = built
    error = pytest.importorskip("tkinter").TclError
    with pytest.raises(error, match=rf"^Vivado must know the board {re.escape(board.vivado['board_part'])}: install"):
        vivado(folder / "vivado.tcl", boards="")


def test_ports_are_marked_for_block_designs(built):
    _board, folder = built
    code, log = lint(f"{NAME}_accelerator", folder, f"{NAME}_accelerator.v", options=["-Wno-WIDTHTRUNC"])
    assert (code, log) == (0, "")
    text = (folder / f"{NAME}_accelerator.v").read_text()
    marked = re.findall(r"^  \(\* (.*) \*\)\n  (?:in|out)put (\w+);$", text, re.MULTILINE)
    assert [port for _attributes, port in marked] == ["clk", "rst", "irq"]
    assert "ASSOCIATED_BUSIF m_axi:s_axi_ctrl" in marked[0][0]
