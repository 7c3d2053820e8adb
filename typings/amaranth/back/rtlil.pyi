"""What macforge uses of `amaranth.back.rtlil`."""

from collections.abc import Iterable, Mapping
from typing import Any

from amaranth.hdl import Elaboratable, Fragment, Value

def convert(
    elaboratable: Elaboratable | Fragment,
    name: str = "top",
    platform: object = None,
    *,
    ports: Iterable[Value] | Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> str: ...
