"""What breaks macforge on purpose, for tests that must notice it."""

__all__ = ["STUCK_BIT"]

STUCK_BIT = """
from hw.integer import dot

gather = dot._gather

def broken(m, at):
    gather(m, at)
    at.terms = [type(term)(term.value & ~0b10, term.interval) for term in at.terms]

dot._gather = broken
"""
"""Python that makes `pe.mac` lose the carry out of the lowest bit of every product; it is otherwise right."""
