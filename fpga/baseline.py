"""The plain multiply-accumulate cell that every processing element is measured against."""

from __future__ import annotations

from dataclasses import dataclass

from fpga.count import Resources
from fpga.map.synth import synthesize

__all__ = ["BaselineMac", "baseline"]


@dataclass(frozen=True, kw_only=True)
class BaselineMac:
    """``if (en) acc <= (clear ? 0 : acc) + act * weight``, as one writes it in Verilog.

    The product has a wire of its own width: written as one expression, both operands of ``*`` are widened to
    the accumulator first. ``acc`` is signed if an operand is, and wraps.

    Attributes
    ----------
    act_bits, weight_bits
        Widths of the operands, at least 1.
    acc_bits
        Width of the accumulator, at least that of the product (``act_bits + weight_bits``).
    act_signed, weight_signed
        Whether the operands are in two's complement.
    keep_product
        Whether the product's wire is kept (attribute ``keep``). Yosys otherwise merges ``*`` and ``+`` into
        one carry-save tree, which is larger on an FPGA.

    Raises
    ------
    ValueError
        If an operand has no bit, or the product does not fit the accumulator.
    """

    act_bits: int
    weight_bits: int
    acc_bits: int
    act_signed: bool = True
    weight_signed: bool = True
    keep_product: bool = True

    def __post_init__(self) -> None:
        for what, bits in (("Activation", self.act_bits), ("Weight", self.weight_bits)):
            if bits < 1:
                raise ValueError(f"{what} must have at least 1 bit, not {bits}")
        if self.acc_bits < self.product_bits:
            raise ValueError(
                f"Accumulator must have at least the product's {self.product_bits} bits, not {self.acc_bits}"
            )

    @property
    def product_bits(self) -> int:
        """Width of the exact product."""
        return self.act_bits + self.weight_bits

    @property
    def name(self) -> str:
        """Module name, such as ``baseline_i8_u4_acc24``."""
        act = f"{'ui'[self.act_signed]}{self.act_bits}"
        weight = f"{'ui'[self.weight_signed]}{self.weight_bits}"
        return f"baseline_{act}_{weight}_acc{self.acc_bits}"

    @property
    def verilog(self) -> str:
        """The cell: operands straight from the ports, ``acc`` in a register."""
        signed = "signed " if self.act_signed or self.weight_signed else ""
        act, weight = self._operand("act", self.act_signed), self._operand("weight", self.weight_signed)
        keep = "(* keep *) " if self.keep_product else ""
        zero = f"{self.acc_bits}'{'sd' if signed else 'd'}0"
        acc = f"{signed}[{self.acc_bits - 1}:0]"
        return f"""\
module {self.name}(
  input clk,
  input clear,
  input en,
{self._operand_ports}
  output reg {acc} acc
);
  {keep}wire {signed}[{self.product_bits - 1}:0] product = {act} * {weight};
  wire {acc} base = clear ? {zero} : acc;
  always @(posedge clk)
    if (en) acc <= base + product;
endmodule
"""

    @property
    def registered_verilog(self) -> str:
        """The cell, and module ``<name>_registered``: the same behind input registers, to time its paths."""
        return f"""\
{self.verilog}
module {self.name}_registered(
  input clk,
  input clear,
  input en,
{self._operand_ports}
  output [{self.acc_bits - 1}:0] acc
);
  reg clear_q, en_q;
  reg [{self.act_bits - 1}:0] act_q;
  reg [{self.weight_bits - 1}:0] weight_q;
  always @(posedge clk) begin
    clear_q <= clear;
    en_q <= en;
    act_q <= act;
    weight_q <= weight;
  end
  {self.name} cell_0 (
    .clk(clk), .clear(clear_q), .en(en_q), .act(act_q), .weight(weight_q), .acc(acc)
  );
endmodule
"""

    @property
    def _operand_ports(self) -> str:
        act, weight = ("signed " if signed else "" for signed in (self.act_signed, self.weight_signed))
        return f"  input {act}[{self.act_bits - 1}:0] act,\n  input {weight}[{self.weight_bits - 1}:0] weight,"

    def _operand(self, port: str, signed: bool) -> str:
        # Verilog multiplies without sign as soon as one operand has none.
        mixed = self.act_signed != self.weight_signed
        return f"$signed({{1'b0, {port}}})" if mixed and not signed else port


def baseline(
    act_bits: int,
    weight_bits: int,
    acc_bits: int,
    *,
    act_signed: bool = True,
    weight_signed: bool = True,
    family: str,
    dsp: bool = False,
    keep_product: bool = True,
) -> Resources:
    """Resources of the `BaselineMac` of these widths, mapped flat to a family.

    Parameters
    ----------
    act_bits, weight_bits, acc_bits, act_signed, weight_signed, keep_product
        As for `BaselineMac`.
    family
        Short name of the family, such as ``"xc7"``.
    dsp
        Whether the multiplier may become a DSP block.

    Raises
    ------
    ValueError
        If the widths do not fit together, or the family is unknown.
    """
    mac = BaselineMac(
        act_bits=act_bits,
        weight_bits=weight_bits,
        acc_bits=acc_bits,
        act_signed=act_signed,
        weight_signed=weight_signed,
        keep_product=keep_product,
    )
    return synthesize(mac.verilog, top=mac.name, family=family, dsp=dsp, flatten=True).resources
