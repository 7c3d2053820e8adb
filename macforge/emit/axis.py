"""An engine behind AXI4-Stream."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from hw.emit.verilog import emit_verilog
from macforge.emit.interface import Interface, Port
from macforge.emit.template import template

__all__ = ["AxisInterface", "AxisStream"]


@dataclass(frozen=True, kw_only=True)
class AxisStream:
    """A stream of an engine as AXI4-Stream.

    Parameters
    ----------
    stream : str
        The engine's name of it.
    bits : int
        Bits that are used, the low ones of ``tdata``.
    """

    stream: str
    bits: int

    @property
    def is_output(self) -> bool:
        """Whether the engine is its source; then it has a ``tlast``, which ends a product."""
        return self.stream == "result"

    @property
    def name(self) -> str:
        """What its ports begin with."""
        return f"m_axis_{self.stream}" if self.is_output else f"s_axis_{self.stream}"

    @property
    def width(self) -> int:
        """Width of ``tdata``: whole bytes."""
        return -(-self.bits // 8) * 8

    @property
    def padding(self) -> int:
        """Bits of ``tdata`` above those that are used: 0 in results, ignored elsewhere."""
        return self.width - self.bits

    @cached_property
    def ports(self) -> dict[str, Port]:
        """The port of each of AXI's signals."""
        ahead, back = ("output", "input") if self.is_output else ("input", "output")
        signals = {"tdata": (ahead, self.width), "tvalid": (ahead, 1), "tready": (back, 1)}
        if self.is_output:
            signals["tlast"] = ahead, 1
        return {
            signal: {"name": f"{self.name}_{signal}", "direction": direction, "bits": bits}
            for signal, (direction, bits) in signals.items()
        }


class AxisInterface(Interface):
    """AXI4-Stream: ``aclk``, ``aresetn``, ``s_axis_<stream>_*`` and ``m_axis_result_*``.

    Attributes of the ports tell Vivado's IP integrator which of them are one interface.
    """

    clock = "aclk: rising edge. aresetn: synchronous, active low, for at least one cycle after power-up."
    clock_port = "aclk"

    @cached_property
    def axis_streams(self) -> list[AxisStream]:
        """All streams, results last, whose ``last`` is ``tlast`` and no part of ``tdata``."""
        widths = self.engine.spec.stream_bits
        return [AxisStream(stream=name, bits=bits - (name == "result")) for name, bits in widths.items()]

    @property
    def ports(self) -> list[Port]:
        names = ["aclk", "aresetn"]
        listing: list[Port] = [{"name": name, "direction": "input", "bits": 1} for name in names]
        for stream in self.axis_streams:
            listing += stream.ports.values()
        return listing + [{"name": flag, "direction": "output", "bits": 1} for flag in self.engine.flags]

    @property
    def nets(self) -> list[tuple[str, str]]:
        pairs = [("aclk", "clk"), ("aresetn", "!rst")]
        for stream in self.axis_streams:
            name, payload = stream.stream, f"{stream.stream}_payload"
            if stream.is_output:
                pairs.append((f"{stream.name}_tlast", f"{payload}[{stream.bits}]"))
                payload = f"{payload}[{stream.bits - 1}:0]"
            padding = "result_padding" if stream.is_output else f"{stream.padding}'bx"
            pairs += [
                (f"{stream.name}_tdata", f"{{{padding}, {payload}}}" if stream.padding else payload),
                (f"{stream.name}_tvalid", f"{name}_valid"),
                (f"{stream.name}_tready", f"{name}_ready"),
            ]
        return pairs + [(flag, flag) for flag in self.engine.flags]

    @property
    def result_padding(self) -> int:
        return self.axis_streams[-1].padding

    def streams(self, payloads: dict[str, list[str]]) -> list[str]:
        lines = []
        for stream in self.axis_streams:
            # the last field of results is a signal of its own
            fields = payloads[stream.stream][: -1 if stream.is_output else None]
            if stream.padding:
                fields = [*fields, f"padding: {stream.padding} bits, {'0' if stream.is_output else 'ignored'}"]
            direction, more = ("out", "; tlast ends a product") if stream.is_output else ("in", "")
            told = f"{stream.name} ({direction}, tdata of {stream.width} bits{more}), from the low bits: "
            lines.append(told + "; ".join(fields))
        return lines

    def verilog(self, *, top: str, prefix: str, replaced: Mapping[str, str]) -> str:
        inner = f"{prefix}engine"
        text = emit_verilog(self.engine, name=inner, prefix=prefix, replaced=replaced)
        if re.search(rf"^module {top}\b", text, re.MULTILINE):
            raise ValueError(f"Top must have a name that no other module has, not {top}")
        header, first, rest = text.partition("module ")
        unused = [f"{s.name}_tdata[{s.width - 1}:{s.bits}]" for s in self.axis_streams[:-1] if s.padding]
        outer = template("axis.v.j2").render(
            top=top, inner=inner, streams=self.axis_streams, unused=unused, flags=self.engine.flags
        )
        return header + outer + "\n" + first + rest
