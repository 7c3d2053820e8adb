"""The component that is emitted once and instantiated many times."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from amaranth.hdl import DomainRenamer, Elaboratable, Fragment, Module, Value
from amaranth.lib import wiring

from hw.core.naming import module_name

__all__ = ["Sharing", "Unit", "place"]


class Unit(wiring.Component):
    """A component whose circuit depends on nothing but its constructor's keyword arguments.

    Two units of one class with equal arguments are the same circuit, so that a Verilog emitter writes one module
    for both (see `hw.emit.verilog`). Everywhere else, in the simulator or inside somebody's own Amaranth design, a unit
    is an ordinary `amaranth.lib.wiring.Component`.

    Subclasses take keyword-only hashable arguments without defaults, end their ``__init__`` with the signature, say
    what they are in `name`, and describe themselves in `circuit`, where other components have `elaborate`.
    """

    _arguments: dict[str, Hashable]
    _identity: tuple[type, frozenset[tuple[str, Hashable]]]

    def __new__(cls, **parameters: Hashable) -> Self:
        unit = super().__new__(cls)
        # units are also made only to be asked for widths and latencies, which is no oversight to warn of
        unit._MustUse__silence = True
        unit._arguments = parameters
        # units are compared as objects, being components
        known = {name: value.identity if isinstance(value, Unit) else value for name, value in parameters.items()}
        unit._identity = (cls, frozenset(known.items()))
        return unit

    if TYPE_CHECKING:
        # ports come from the signature, whose names and types only the constructor's arguments decide
        def __getattr__(self, name: str) -> Any: ...

    @property
    def identity(self) -> Hashable:
        """Equal for units that are the same circuit."""
        return self._identity

    @property
    def arguments(self) -> dict[str, Hashable]:
        """What it was made with, by name."""
        return dict(self._arguments)

    @property
    def name(self) -> str:
        """What the module is, for readers of the Verilog; it need not tell everything."""
        raise NotImplementedError(f"{type(self).__qualname__} must say its module name")

    @cached_property
    def module_name(self) -> str:
        """Verilog name of the module, which no other circuit has, see `hw.core.naming.module_name`."""
        return module_name(self.name, type(self), self.arguments)

    def ports(self) -> dict[str, tuple[Value, wiring.Flow]]:
        """Port name -> (value, flow) of the flattened signature, in the order of the signature."""
        found = {}
        for path, member, value in self.signature.flatten(self):
            found["__".join(map(str, path))] = (Value.cast(value), member.flow)
        return found

    def circuit(self, platform: object) -> Module:
        """Describe the circuit: the hook of every subclass."""
        raise NotImplementedError(f"{type(self).__qualname__} must describe its circuit")

    def rtlil(self) -> str:
        """The module in Yosys's language, where Amaranth would take long to write it; else nothing."""
        return ""

    def elaborate(self, platform: object) -> Elaboratable | Fragment:
        """Expand into the circuit, or into an instance of the shared module where the platform shares."""
        if isinstance(platform, Sharing):
            return platform.share(self)
        return self.circuit(platform)


class Sharing(ABC):
    """A platform that gives every unit of equal identity one module."""

    @abstractmethod
    def share(self, unit: Unit) -> Fragment:
        """Return an instance of the module that all units equal to ``unit`` share."""


_U = TypeVar("_U", bound=Unit)


def place(module: Module, name: str, unit: _U, *, domain: str = "sync") -> _U:
    """Add ``unit`` to ``module`` as submodule ``name``, and call its ports ``<name>_<port>`` in the Verilog.

    Its clock and reset are those of ``domain``.
    """
    for port, (value, _flow) in unit.ports().items():
        value.name = f"{name}_{port}"
    module.submodules[name] = unit if domain == "sync" else DomainRenamer(domain)(unit)
    return unit
