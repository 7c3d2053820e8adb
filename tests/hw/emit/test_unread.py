"""Bits that nobody reads are told to linters, and nothing else is."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit, place
from hw.emit.unread import with_unread_told
from hw.emit.verilog import emit_verilog
from tb.lint import lint

TEXT = """\
module part(a, y);
  input [3:0] a;
  wire [3:0] a;
  output y;
  wire y;
  assign y = a[0];
endmodule

module top(clk, given, addr, y, z);
  input clk;
  wire clk;
  input [7:0] given;
  wire [7:0] given;
  input [1:0] addr;
  wire [1:0] addr;
  output y;
  wire y;
  output [1:0] z;
  wire [1:0] z;
  wire [2:0] _01_;
  wire [3:0] partly;
  wire [3:0] whole;
  wire [3:0] never;
  reg [3:0] kept;
  reg [3:0] words [3:0];
  always @(posedge clk)
    if (given[7]) kept <= given[3:0];
  always @(posedge clk)
    words[addr] <= kept;
  assign { partly[0], _01_[0] } = given[5:4];
  assign _01_[2:1] = 2'h0;
  assign partly[3:1] = 3'h0;
  assign whole = partly;
  assign never = { 3'hf, kept[1] };
  assign z = { whole[2], whole[0] };
  part the_part (
    .a(whole),
    .y(y)
  );
endmodule
"""


def test_bits_of_which_others_are_read_are_told():
    lines = [line for line in with_unread_told(TEXT).splitlines() if line not in TEXT.splitlines()]
    # all bits of `whole` go into the part, and a wire that nobody reads is the linter's business
    assert lines == [
        "  wire [2:0] unused_a = { a[3:1] };",
        "  wire unused_given = { given[6] };",
        "  wire [2:0] unused__01_ = { _01_ };",
    ]


class Some(Unit):
    """``y``: some bits of ``x`` and of a number that others read too."""

    def __init__(self) -> None:
        super().__init__({"x": In(8), "y": Out(2)})

    @property
    def name(self) -> str:
        return "some"

    def circuit(self, platform: object) -> Module:
        m = Module()
        doubled = Signal(9)
        m.d.comb += [doubled.eq(self.x + self.x), self.y.eq(Cat(doubled[1], doubled[8]))]
        return m


class Around(Unit):
    """Two of them, of which one bit each is read."""

    def __init__(self) -> None:
        super().__init__({"x": In(8), "y": Out(1)})

    @property
    def name(self) -> str:
        return "around"

    def circuit(self, platform: object) -> Module:
        m = Module()
        first, second = (place(m, name, Some()) for name in ("first", "second"))
        m.d.comb += [first.x.eq(self.x), second.x.eq(~self.x), self.y.eq(first.y[0] ^ second.y[1])]
        return m


def test_verilog_is_clean_with_them():
    verilog = emit_verilog(Around())
    assert "unused_" in verilog
    assert lint(verilog, "around") == ""
