"""Registers in a row."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["delayed"]


def delayed(module: Module, value: Value, cycles: int, *, name: str, init: int | None = None) -> Value:
    """``value`` as it was ``cycles`` cycles ago.

    Data is not reset (``init`` left out); a control signal starts from ``init`` and returns to it at reset.
    """
    for stage in range(1, cycles + 1):
        register = Signal(value.shape(), name=f"{name}_{stage}", init=init or 0, reset_less=init is None)
        module.d.sync += register.eq(value)
        value = register
    return value
