"""Registers behind block RAMs move into them, and others stay where they are."""

from collections import Counter
from importlib import resources

import numpy as np
import pytest

from fpga import families
from fpga.map.deliver import deliver_memories
from fpga.map.output_register import move_output_registers
from fpga.map.synth import map_netlist, quick_flow
from hw.core.ram import Ram
from hw.emit.verilog import emit_verilog
from tb.runner import Bench, run_bench
from tests.quick import few

ECP5 = families.find("ecp5")


def mapped(verilog, top):
    netlist = map_netlist(verilog, top=top, flow=quick_flow(ECP5, verilog), absorbing=False)
    return netlist["modules"][top]


def kinds(module):
    return Counter(cell["type"] for cell in module["cells"].values())


@pytest.mark.parametrize(("width", "depth"), few([(24, 512), (8, 16384), (36, 512), (9, 2048)], 2))
def test_register_of_every_bit_moves(width, depth):
    ram = Ram(width=width, depth=depth)
    before = mapped(emit_verilog(ram), ram.name)
    after = move_output_registers(before)
    assert kinds(before)["TRELLIS_FF"] == width
    assert kinds(after) == Counter({"DP16KD": kinds(before)["DP16KD"]})
    for cell in after["cells"].values():
        assert cell["parameters"]["REGMODE_B"] == "OUTREG" and cell["connections"]["OCEB"] == ["1"]
    # what leaves is what the registers were
    driven = {bit for cell in after["cells"].values() for bits in cell["connections"].values() for bit in bits}
    assert set(after["ports"]["read_data"]["bits"]) <= driven


@pytest.mark.parametrize(("width", "depth"), few([(36, 512), (8, 16384), (13, 1024), (9, 2048)], 4))
def test_delivered_memory_is_the_portable_one(width, depth):
    """Words are written, then read in another order: in the simulator, with a model of the block RAM."""
    ram, random = Ram(width=width, depth=depth), np.random.default_rng(1)
    portable = emit_verilog(ram, name=ram.module_name)
    (delivered,) = deliver_memories(portable, family="ecp5").blocks.values()
    addresses = random.permutation(depth)[:200]
    words = random.integers(0, 1 << width, 200)
    read = np.roll(words, 50)
    signed, idle = read - (read >> (width - 1) << width), np.zeros(200, int)
    arrays = {
        "in_write": np.concatenate([idle + 1, idle]),
        "in_write_address": np.concatenate([addresses, addresses[::-1]]),
        "in_write_data": np.concatenate([words, words[::-1]]),
        "in_read_address": np.concatenate([idle + (addresses[-1] ^ 1), np.roll(addresses, 50)]),
        "expected_read_data": np.concatenate([idle, [0, 0], signed[:-2]]),
        "counted_read_data": np.arange(400) >= 202,
    }
    arrays = {name: each[:, None] for name, each in arrays.items()}
    widths = {name: len(value) for name, (value, _flow) in ram.ports().items()}
    outcome = run_bench(
        Bench(
            verilog=delivered + (resources.files("fpga.map") / "dp16kd.v").read_text(),
            top=ram.module_name,
            module="tb.cycles_bench",
            settings={"ports": {port: {port: bits} for port, bits in widths.items()}},
            arrays={**arrays, "reset": np.zeros(400, bool)},
            cycles=400,
        )
    )
    assert outcome.failure is None


BEHIND = """
module behind(input clk, input other, input write, input enable, input reset, input [8:0] a, input [17:0] d,
    output reg [17:0] q, output [17:0] extra);
  (* ram_style = "block" *) reg [17:0] words [0:511];
  reg [17:0] word;
  always @(posedge clk) begin if (write) words[a] <= d; word <= words[a]; end
  always @(posedge {clock}) begin {register} end
  assign extra = {extra};
endmodule
"""


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({}, True),
        ({"extra": "word"}, False),
        ({"register": "if (enable) q <= word;"}, False),
        ({"register": "if (reset) q <= 0; else q <= word;"}, False),
        ({"register": "q <= ~word;"}, False),
        ({"clock": "other"}, False),
    ],
)
def test_only_plain_registers_of_all_bits_move(change, moves):
    text = BEHIND
    for name, value in {"clock": "clk", "register": "q <= word;", "extra": "0", **change}.items():
        text = text.replace(f"{{{name}}}", value)
    before = mapped(text, "behind")
    assert kinds(before)["DP16KD"] == 1
    assert (kinds(move_output_registers(before))["TRELLIS_FF"] == 0) == moves


def test_module_without_a_block_ram_stays_as_it_is():
    module = {"cells": {"one": {"type": "LUT4"}}}
    assert move_output_registers(module) is module
