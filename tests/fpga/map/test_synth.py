"""A netlist that keeps its modules counts like the same netlist with every cell spelled out."""

import itertools
import json
import re
from collections import Counter
from typing import Any

import pytest

from fpga import families
from fpga.count import count, tally
from fpga.families import FAMILIES
from fpga.map import synth
from fpga.map.synth import map_netlist, quick_flow, synthesize
from hw.emit import yosys
from hw.emit.tools import ToolError
from tests.quick import some

ROWS = COLS = 3

CELL = """
module cell_mac(
  input clk, input signed [4:0] act, input signed [3:0] weight,
  output reg signed [4:0] act_out, output reg signed [3:0] weight_out, output reg signed [13:0] acc
);
  wire signed [8:0] product = act * weight;
  always @(posedge clk) begin
    act_out <= act;
    weight_out <= weight;
    acc <= acc + product;
  end
endmodule
"""


def array():
    """A systolic array of ``ROWS`` by ``COLS`` cells."""
    lines = [
        CELL,
        f"module array(input clk, input [{5 * ROWS - 1}:0] act, input [{4 * COLS - 1}:0] weight,",
        f"  output [{14 * ROWS * COLS - 1}:0] acc);",
    ]
    for row in range(ROWS):
        for col in range(COLS):
            act = f"act_{row}_{col - 1}" if col else f"act[{5 * row} +: 5]"
            weight = f"weight_{row - 1}_{col}" if row else f"weight[{4 * col} +: 4]"
            lines += [
                f"  wire [4:0] act_{row}_{col};",
                f"  wire [3:0] weight_{row}_{col};",
                f"  cell_mac cell_{row}_{col}(.clk(clk), .act({act}), .weight({weight}),",
                f"    .act_out(act_{row}_{col}), .weight_out(weight_{row}_{col}),",
                f"    .acc(acc[{14 * (row * COLS + col)} +: 14]));",
            ]
    return "\n".join([*lines, "endmodule\n"])


QUICK = [("xc7", False), ("ecp5", True), ("ice40", False)]


@pytest.mark.parametrize(("family", "dsp"), some(itertools.product(FAMILIES, [False, True]), QUICK.__contains__))
def test_kept_modules_count_like_every_cell_spelled_out(family, dsp, tmp_path):
    result = synthesize(array(), top="array", family=family, dsp=dsp)

    mapped = map_netlist(array(), top="array", flow=quick_flow(families.find(family), array(), dsp=dsp))
    (tmp_path / "mapped.json").write_text(json.dumps(mapped))
    yosys.run("read_json mapped.json\nflatten\nwrite_json -noscopeinfo flat.json", cwd=tmp_path)
    flat = json.loads((tmp_path / "flat.json").read_text())

    cells = Counter(cell["type"] for cell in flat["modules"]["array"]["cells"].values())
    assert result.resources.cells == cells
    assert result.resources == count(flat, families.find(family), top="array")
    assert {name: module.instances for name, module in result.modules.items()} == {"array": 1, "cell_mac": 9}
    assert result.resources == result.modules["cell_mac"].total + result.modules["array"].total
    assert result.inside("array") == result.resources
    assert result.inside("cell_mac") == result.modules["cell_mac"].resources


MEMORIES = {
    "words": "reg [3:0] words [15:0]; always @(posedge clk) begin words[a] <= d; q <= words[a]; end",
    "table": "always @(posedge clk) case (a) 0: q <= 5; 1: q <= 7; 2: q <= d; default: q <= 9; endcase",
    "escaped": "reg [3:0] \\words[3:0] ; always @(posedge clk) begin \\words[3:0] <= d ^ a; q <= \\words[3:0] ; end",
    "escaped_words": "reg [3:0] \\w[3:0]  [3:0]; always @(posedge clk) begin \\w[3:0] [a] <= d; q <= \\w[3:0] [a]; end",
    "registers": "reg [3:0] r; always @(posedge clk) begin r <= d ^ a; q <= r; end",
}


def small(kind):
    return f"module m(input clk, input [3:0] a, d, output reg [3:0] q); {MEMORIES[kind]} endmodule"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", MEMORIES)
def test_mapping_of_memories_is_left_out_only_without_any(kind, family):
    target = families.find(family)
    quick = quick_flow(target, small(kind))
    has_none = kind in ("escaped", "registers")
    assert bool(re.search(r"-run \w+:map_(ram|memory)", quick)) == (has_none and bool(target.memories))


@pytest.mark.parametrize("family", FAMILIES)
def test_primitives_are_left_out_only_where_none_can_be_missing(family):
    target = families.find(family)
    multiplier = small("registers").replace("module m", "module multiply_accumulate_2x2_4_r0")
    for dsp, verilog in itertools.product([False, True], [small("registers"), small("words"), multiplier]):
        quick = quick_flow(target, verilog, dsp=dsp)
        has_none = not dsp and verilog == small("registers")
        assert quick.startswith("read_verilog") == (bool(target.library) and (target.complete or has_none))


@pytest.mark.parametrize("family", some([name for name in FAMILIES if FAMILIES[name].memories], "ecp5".__eq__))
def test_leaving_out_libraries_changes_nothing(family):
    target, verilog = families.find(family), array()
    flow, quick = target.synth(), quick_flow(target, verilog)
    assert quick != flow
    counts = [tally(map_netlist(verilog, top="array", flow=each), top="array") for each in (flow, quick)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("family", "kept_lut", "flat_lut"), [("xc7", 486, 490), ("ecp5", 936, 991)])
def test_flat_mapping_drops_the_open_registers_at_the_edge(family, kept_lut, flat_lut):
    kept = synthesize(array(), top="array", family=family)
    flat = synthesize(array(), top="array", family=family, flatten=True)
    # act_out of the last column and weight_out of the last row lead nowhere.
    assert flat.resources.ff == kept.resources.ff - 5 * ROWS - 4 * COLS
    # Mapped together, the nine cells come out slightly different from one another, and stay as Yosys maps them.
    assert (kept.resources.lut, flat.resources.lut) == (kept_lut, flat_lut)
    assert list(flat.modules) == ["array"]


def test_synthesis_says_how_it_was_made():
    result = synthesize(CELL, top="cell_mac", family="ecp5", dsp=True)
    assert (result.top, result.family) == ("cell_mac", "ecp5")
    assert (result.flow, result.tool) == ("synth_ecp5 -noflatten", "yosys 0.70")
    assert result.resources.dsp == 1


def test_results_are_cached_by_content(tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    first = synthesize(CELL, top="cell_mac", family="ecp5")
    with monkeypatch.context() as patch:
        patch.setattr(yosys, "run", lambda *_args, **_named: pytest.fail("mapped again"))
        assert synthesize(CELL, top="cell_mac", family="ecp5") == first
        with pytest.raises(pytest.fail.Exception, match=r"^mapped again$"):
            synthesize(CELL + "\n", top="cell_mac", family="ecp5")


def test_netlists_are_known_by_the_tool_that_wrote_them(tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    before = map_netlist(CELL, top="cell_mac", flow="synth_ecp5")
    monkeypatch.setattr(yosys, "banner", lambda: "Yosys 0.70 (git sha1 0)")
    assert map_netlist(CELL, top="cell_mac", flow="synth_ecp5") == before
    monkeypatch.setattr(yosys, "run", lambda *_args, **_named: pytest.fail("mapped again"))
    for change in ({"flow": "synth_ecp5 -nodsp"}, {"files": {"more.v": ""}}, {"top": "cell"}):
        arguments: dict[str, Any] = {"verilog": CELL, "top": "cell_mac", "flow": "synth_ecp5", **change}
        with pytest.raises(pytest.fail.Exception, match=r"^mapped again$"):
            map_netlist(**arguments)
    monkeypatch.setattr(yosys, "banner", lambda: "Yosys 0.70 (git sha1 1)")
    with pytest.raises(pytest.fail.Exception, match=r"^mapped again$"):
        map_netlist(CELL, top="cell_mac", flow="synth_ecp5")


@pytest.mark.parametrize("part", ["absorb", "tally", "quick_flow"])
def test_what_is_made_of_netlists_is_made_anew(part, tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    synthesize(CELL, top="cell_mac", family="ecp5")
    monkeypatch.setattr(synth, part, lambda *_args, **_named: pytest.fail("made anew"))
    with pytest.raises(pytest.fail.Exception, match=r"^made anew$"):
        synthesize(CELL, top="cell_mac", family="ecp5")


@pytest.mark.parametrize("damage", [b"", b"{", b"garbage"])
def test_damaged_netlists_are_mapped_again(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    before = synthesize(CELL, top="cell_mac", family="ecp5")
    for path in tmp_path.rglob("netlist.json"):
        path.write_bytes(damage)
    assert synthesize(CELL, top="cell_mac", family="ecp5") == before


def test_simulation_only_cells_are_refused():
    verilog = 'module talk(input clk); always @(posedge clk) $display("tick"); endmodule'
    with pytest.raises(ValueError, match=r"^Primitive must be one with a counting rule for ecp5, not '[$]print'$"):
        synthesize(verilog, top="talk", family="ecp5")


@pytest.mark.parametrize("top", ["", "a b", "array; shell", "array\n", "-auto"])
def test_top_must_be_a_plain_name(top):
    with pytest.raises(ValueError, match=r"^Top must be a name of letters, digits, '_', '\.' and '\$', not "):
        synthesize(CELL, top=top, family="ecp5")


def test_unknown_family_is_refused():
    with pytest.raises(ValueError, match=r"^Family must be one of .*, xc7, xcup, or .*, not 'max10'$"):
        synthesize(CELL, top="cell_mac", family="max10")


def test_broken_verilog_carries_yosys_own_words():
    with pytest.raises(ToolError, match=r"yosys: design\.v:1: ERROR: syntax error"):
        synthesize("module broken(", top="broken", family="ecp5")


@pytest.mark.parametrize("left", [300, None])
def test_a_netlist_that_breaks_off_is_not_kept(left, monkeypatch, tmp_path):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path))
    run, source = yosys.run, "module broken(input a, output b); assign b = !a; endmodule"

    def cut(script, *, cwd):
        run(script, cwd=cwd)
        netlist = cwd / "netlist.json"
        if left is None:
            netlist.unlink()
        else:
            netlist.write_bytes(netlist.read_bytes()[:left])

    with monkeypatch.context() as patched:
        patched.setattr(yosys, "run", cut)
        with pytest.raises(ToolError, match=r"^yosys: the netlist of broken breaks off; is there room on the disk\?$"):
            synthesize(source, top="broken", family="xc7")
    assert synthesize(source, top="broken", family="xc7").resources.lut == 1
