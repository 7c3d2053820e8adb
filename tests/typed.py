"""What tests say to the type checker."""

from typing import Any, TypeVar

__all__ = ["present", "wrong"]

_T = TypeVar("_T")


def present(value: _T | None) -> _T:
    """The value of what may be None, which is a failure here."""
    assert value is not None
    return value


def wrong(value: object) -> Any:
    """A value of a type that is not taken, which is given on purpose."""
    return value
