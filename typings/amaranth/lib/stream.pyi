"""What macforge uses of `amaranth.lib.stream`."""

from typing import Any

from amaranth.hdl import ShapeLike, Value
from amaranth.lib import wiring

class Signature(wiring.Signature):
    def __init__(
        self,
        payload_shape: ShapeLike,
        *,
        payload_init: Any = None,
        always_valid: bool = False,
        always_ready: bool = False,
    ) -> None: ...
    @property
    def always_valid(self) -> bool: ...
    @property
    def always_ready(self) -> bool: ...

class Interface:
    # a value, or a view of the payload's layout
    payload: Any
    p: Any
    valid: Value
    ready: Value
    def __init__(self, signature: Signature) -> None: ...
    @property
    def signature(self) -> Signature: ...
