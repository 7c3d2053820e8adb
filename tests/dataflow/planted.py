"""Faults in cells: bits of the registers of sums that flip once."""

import re

import numpy as np

__all__ = ["Plant"]

REGISTERS = {"output_stationary": "acc", "weight_stationary": "below"}


class Plant:
    """Verilog whose product number ``p`` has bit ``p % bits`` of cell ``p // bits`` flipped, once, in a cycle of its.

    Parameters
    ----------
    engine : Engine
        Of single cells as tiles, and one band.
    after : int
        Cycles behind the command.
    """

    def __init__(self, engine, *, after):
        self.engine = engine
        self.after = after
        self.bits = engine.array.cells.below_bits
        self.cells = list(np.ndindex(engine.shape.rows, engine.shape.cols))
        self.count = len(self.cells) * self.bits

    def __call__(self, verilog):
        register = REGISTERS[self.engine.dataflow]
        flips = "\n".join(
            f"      {index}: {path} <= {path} ^ ({self.bits}'d1 << number % {self.bits});"
            for index, path in enumerate(f"array.band_0.row_{i}.tile_{j}.{register}" for i, j in self.cells)
        )
        planted = f"""
  reg [31:0] number, since;
  always @(posedge clk)
    if (rst) {{number, since}} <= {{-32'd1, 32'd0}};
    else if (command__valid && command__ready) {{number, since}} <= {{number + 32'd1, 32'd0}};
    else since <= since + 1;
  always @(negedge clk)
    if (since == {self.after}) case (number / {self.bits})
{flips}
      default: ;
    endcase
endmodule
"""
        found = re.search(rf"^module {self.engine.name}\(.*?(^endmodule)$", verilog, re.MULTILINE | re.DOTALL)
        assert found, "the top module is in the Verilog"
        return verilog[: found.start(1)] + planted.lstrip("\n") + verilog[found.end(1) :]
