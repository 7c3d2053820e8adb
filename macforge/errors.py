"""Errors of macforge's own that are no fault of a request."""

__all__ = ["MismatchError"]


class MismatchError(Exception):
    """The hardware and the model differ."""
