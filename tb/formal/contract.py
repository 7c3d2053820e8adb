"""The contract of streams, as assertions about any unit that has some."""

from collections.abc import Sequence

from amaranth.lib import stream
from amaranth.lib.wiring import In

from hw.core.unit import Unit

__all__ = ["KEEPS", "contract"]

KEEPS = "what is valid stays, and does not change, until it is taken"
"""What the contract says."""

_RULES = """\
// What is valid stays, and does not change, until it is taken: assumed of streams into the unit, asserted of those out.
module rules(input clk);
  (* anyseq *) wire rst;
{wires}
  unit dut(.clk(clk), .rst(rst){pins});
  reg started = 0; always @(posedge clk) started <= 1;
  initial assume(rst);
  always @(posedge clk) if (started && !rst && !$past(rst)) begin
{rules}
  end
endmodule
"""


def contract(unit: Unit, *, steady: Sequence[str] = ()) -> str:
    """Rules of all streams of ``unit``, for `tb.formal.prove.Proof`.

    Inputs that are ``steady`` do not change after reset; every other input may do anything.

    Raises
    ------
    ValueError
        If no stream leads out of the unit.
    """
    wires, pins = [], []
    for name, (value, flow) in unit.ports().items():
        attribute = "(* anyseq *) " if flow == In else ""
        wires.append(f"  {attribute}wire [{max(1, len(value)) - 1}:0] {name};")
        pins.append(f", .{name}({name})")
    streams = {
        name: "assume" if member.flow == In else "assert"
        for name, member in unit.signature.members.items()
        if member.is_signature and isinstance(member.signature, stream.Signature)
    }
    if "assert" not in streams.values():
        raise ValueError(f"Unit must have a stream that leads out of it, which {unit.name} lacks")
    rules = [
        f"    if ($past({name}__valid && !{name}__ready)) {says}({name}__valid && $stable({name}__payload));"
        for name, says in streams.items()
    ]
    rules += [f"    assume($stable({name}));" for name in steady]
    return _RULES.format(wires="\n".join(wires), pins="".join(pins), rules="\n".join(rules))
