"""A design's accelerator as Verilog: the engine behind AXI4."""

from collections.abc import Sequence

from dataflow.accelerator.accelerator import Accelerator
from hw.core.naming import identifier
from hw.emit.verilog import emit_verilog
from macforge.design.describe import derived, ports
from macforge.design.design import Design
from macforge.emit.verilog import VerilogFiles, checked_prefix, head_comment, tool_versions
from sw_ref.accelerator.descriptor import DESCRIPTOR, HEAD, Record
from sw_ref.accelerator.layout import Layout
from sw_ref.accelerator.registers import Cause

__all__ = ["generate_accelerator"]

_WAIVED = """\
// Nobody needs some bits of buses and of sums, and no two selects of a multiplexer are ever high:
/* verilator lint_off UNUSEDSIGNAL */
/* verilator lint_off CASEOVERLAP */
"""
_CLOCK = "clk: rising edge. rst: synchronous, active high, for at least one cycle after power-up."


def generate_accelerator(design: Design, *, prefix: str | None = None) -> VerilogFiles:
    """Verilog of the design's engine behind an AXI4 master and AXI4-Lite registers; the same text on every run.

    Its files are ``<name>_accelerator.v`` and ``.json``, and its top is called so.

    Parameters
    ----------
    design : Design
    prefix : str, optional
        See `macforge.emit.verilog.generate_verilog`.

    Raises
    ------
    ValueError
        If results do not fit the bus, or the prefix cannot begin a name.
    """
    unit = design.accelerator
    name = f"{design.name}_accelerator"
    top = identifier(name)
    prefix = checked_prefix(prefix, top)
    description = {
        "design": {"name": design.name, **design.to_table()},
        "top": top,
        "clock": _CLOCK,
        "ports": ports(unit),
        "registers": [
            {"name": one.name, "offset": one.offset, "access": one.access, "doc": one.doc}
            for one in unit.registers.values()
        ],
        "causes": {cause.name.lower(): int(cause) for cause in Cause},
        "descriptor": _record(DESCRIPTOR),
        "head": _record(HEAD),
        "memory": _memory(unit.layout),
        "derived": derived(design),
        "tools": tool_versions(),
    }
    _, _, text = emit_verilog(unit, name=top, prefix=prefix).partition("\n")
    head = head_comment(design, top, "accelerator", _told(unit), ports(unit))
    return VerilogFiles(name=name, top=top, verilog=head + _WAIVED + text, description=description)


def _record(record: Record) -> list[dict[str, object]]:
    return [
        {"name": field.name, "offset": field.offset, "bytes": field.size, "doc": field.doc} for field in record.fields
    ]


def _memory(layout: Layout) -> dict[str, object]:
    """How wide what lies in memory is, in bits."""
    strides = {name: layout.stride(name) for name in ("weight", *layout.engine.parameters)}
    return {
        "digest": layout.digest,
        "act_code_bits": layout.act_slot,
        "act_step_bits": layout.act_chunk,
        "result_bits": layout.result_slot,
        "beat_bits": strides,
    }


def _told(unit: Accelerator) -> Sequence[str]:
    bus = unit.bus
    return [
        _CLOCK,
        "",
        "s_axi_ctrl_*: AXI4-Lite, the registers (offset, access):",
        *(f"  {one.offset:#04x} {one.access:4} {one.name}: {one.doc}" for one in unit.registers.values()),
        f"m_axi_*: AXI4, {bus.data_bits} bits of data, {bus.address_bits} of address, bursts of {bus.burst} words.",
        "irq: high while an enabled interrupt is pending.",
        "",
        "A descriptor, 64 bytes in the ring (offset, bytes):",
        *(f"  {one.offset:2} {one.size} {one.name}: {one.doc}" for one in DESCRIPTOR.fields),
        "The head of a layer's image:",
        *(f"  {one.offset:2} {one.size} {one.name}: {one.doc}" for one in HEAD.fields),
    ]
