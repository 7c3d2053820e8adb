"""What macforge uses of `amaranth.lib.memory`."""

from collections.abc import Iterable, Sequence
from typing import Any

from amaranth.hdl import ShapeLike, Value
from amaranth.lib import wiring

class ReadPort:
    addr: Value
    en: Value
    # a value, or a view of the rows' layout
    data: Any

class WritePort:
    addr: Value
    en: Value
    data: Any

class Memory(wiring.Component):
    def __init__(
        self, *, shape: ShapeLike, depth: int, init: Iterable[Any], attrs: dict[str, Any] | None = None
    ) -> None: ...
    def read_port(self, *, domain: str = "sync", transparent_for: Sequence[WritePort] = ()) -> ReadPort: ...
    def write_port(self, *, domain: str = "sync", granularity: int | None = None) -> WritePort: ...
