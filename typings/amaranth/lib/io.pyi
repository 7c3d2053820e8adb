"""What macforge uses of `amaranth.lib.io`."""

from typing import Any

from amaranth.hdl import Elaboratable, Value

class Buffer(Elaboratable):
    # of each, what its direction has
    i: Value
    o: Any
    def __init__(self, direction: str, port: Any) -> None: ...
