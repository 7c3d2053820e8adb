"""Mapped netlists with models of their cells: they do what the design does."""

import pytest

from fpga.map.simulate import mapped_verilog
from tests.macforge.emit.tools import icarus

# Depth and width of memories that become block RAMs of every width: 1, 2, 4, 9, 18 and 36 bits.
SHAPES = [(16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36), (256, 40)]
RAM = """
module ram_{depth}x{width}(input clk, input write, input [13:0] write_address, input [13:0] read_address,
                           input [39:0] write_data, output reg [39:0] read_data);
  (* ram_style = "block", no_rw_check *) reg [{high}:0] words [0:{last}];
  always @(posedge clk) begin
    if (write) words[write_address % {depth}] <= write_data;
    read_data <= words[read_address % {depth}];
  end
endmodule
"""
# Two banks of memories, one mapped, that are written and read at random, but never the same word in one cycle.
BENCH = """
module bench;
  reg clk = 0, write = 0;
  reg [13:0] write_address = 0, read_address = 0;
  reg [39:0] data = 0;
  reg [8:0] writes_to, reads_from;
  integer cycle, errors = 0, compared = 0;
  wire [{bits}:0] expected, got;
  {top} rtl(clk, write, write_address, read_address, data, expected);
  mapped mapped(clk, write, write_address, read_address, data, got);
  initial begin
    for (cycle = 0; cycle < 3000; cycle = cycle + 1) begin
      write = cycle < 512 || $random % 2 == 0;
      writes_to = cycle < 512 ? cycle : $random;
      reads_from = cycle % 3 ? $random : writes_to - 1;
      if ((reads_from ^ writes_to) % 16 == 0) reads_from = reads_from ^ 1;
      // low and high bits, so that a few writes fill all that is read
      write_address = {{writes_to[8:4], 5'b01011, writes_to[3:0]}};
      read_address = {{reads_from[8:4], 5'b01011, reads_from[3:0]}};
      data = {{$random, $random}};
      #1 clk = 1;
      #1 clk = 0;
      if (cycle > 512) begin
        compared = compared + (^expected !== 1'bx);
        errors = errors + (got !== expected);
      end
    end
    $display("%s: %0d of %0d", errors || compared < 2000 ? "FAILED" : "PASSED", errors, compared);
    $finish;
  end
endmodule
"""


def bank(name):
    """Verilog of a module of all memories, and the width of its result."""
    widths = [40] * len(SHAPES)
    ports = "input clk, input write, input [13:0] write_address, input [13:0] read_address, input [39:0] data"
    parts = [
        f"ram_{depth}x{width} r{at}(clk, write, write_address, read_address, data, out[{40 * at} +: 40]);"
        for at, (depth, width) in enumerate(SHAPES)
    ]
    body = "\n  ".join(parts)
    rams = "".join(RAM.format(depth=depth, width=width, high=width - 1, last=depth - 1) for depth, width in SHAPES)
    return f"module {name}({ports}, output [{sum(widths) - 1}:0] out);\n  {body}\nendmodule\n{rams}", sum(widths)


@pytest.mark.parametrize("broken", ["", "written_a"])
def test_block_ram_does_what_the_memory_does(broken, tmp_path):
    """Of every width; and a model that writes too much is seen."""
    rtl, bits = bank("rtl")
    mapped = mapped_verilog(bank("mapped")[0], top="mapped", family="ecp5")
    widths = {width for width in (1, 2, 4, 9, 18, 36) if f".DATA_WIDTH_B(32'd{width})" in mapped}
    assert widths >= {1, 2, 4, 9, 18, 36}
    if broken:
        mapped = mapped.replace("word_a & ~written_a", "word_a & ~mask_a & 0")
    (tmp_path / "rtl.v").write_text(rtl)
    (tmp_path / "mapped.v").write_text(mapped)
    (tmp_path / "bench.v").write_text(BENCH.format(bits=bits - 1, top="rtl"))
    _code, verdict = icarus("bench", tmp_path, "rtl.v", "mapped.v")
    assert verdict.startswith("FAILED" if broken else "PASSED"), verdict


def test_other_families_have_no_models():
    with pytest.raises(ValueError, match=r"^Family must be one with models of all cells \(ecp5\), not 'gowin'$"):
        mapped_verilog("", top="top", family="gowin")
