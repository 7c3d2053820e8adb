"""How an engine looks from outside: its ports, what is said of them, and the Verilog that has them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from dataflow.engine.base import Engine
from hw.emit.verilog import emit_verilog
from macforge.design.describe import ports

__all__ = ["Interface", "PlainInterface", "Port"]

Port = dict[str, object]
"""``name``, ``direction`` (``input`` or ``output``) and ``bits`` of a port."""


class Interface(ABC):
    """The ports of a design's top module.

    Parameters
    ----------
    engine : Engine
        What is behind them.
    """

    clock: ClassVar[str]
    """A sentence of clock and reset."""
    clock_port: ClassVar[str]

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    @abstractmethod
    def ports(self) -> list[Port]:
        """Every port, clock and reset first."""

    @property
    @abstractmethod
    def nets(self) -> list[tuple[str, str]]:
        """Each port's name and what a testbench connects with it.

        Its nets are ``clk``, ``rst``, the engine's flags, for each stream ``<stream>_payload``, ``<stream>_valid`` and
        ``<stream>_ready``, and ``result_padding`` of as many bits as `result_padding`.
        """

    @property
    def result_padding(self) -> int:
        """Bits of results that are always 0."""
        return 0

    @abstractmethod
    def streams(self, payloads: dict[str, list[str]]) -> list[str]:
        """A line for each stream: direction, width, and the fields of its payload, which are given."""

    @abstractmethod
    def verilog(self, *, top: str, prefix: str, replaced: Mapping[str, str]) -> str:
        """The design, see `hw.emit.verilog.emit_verilog`."""


class PlainInterface(Interface):
    """The engine's own ports: ``clk``, ``rst`` and streams with payload, valid and ready."""

    clock = "clk: rising edge. rst: synchronous, active high, for at least one cycle after power-up."
    clock_port = "clk"

    @property
    def ports(self) -> list[Port]:
        return ports(self.engine)

    @property
    def nets(self) -> list[tuple[str, str]]:
        return [(str(port["name"]), str(port["name"]).replace("__", "_")) for port in self.ports]

    def streams(self, payloads: dict[str, list[str]]) -> list[str]:
        widths = self.engine.spec.stream_bits
        return [
            f"{name} ({'out' if name == 'result' else 'in'}, {widths[name]} bits), from the low bits: "
            + "; ".join(fields)
            for name, fields in payloads.items()
        ]

    def verilog(self, *, top: str, prefix: str, replaced: Mapping[str, str]) -> str:
        return emit_verilog(self.engine, name=top, prefix=prefix, replaced=replaced)
