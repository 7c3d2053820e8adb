"""Statements about a design's hardware, and what is found of them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["RESULTS", "Result", "Statement", "Verdict"]

Result = Literal["proven", "bounded", "broken", "open", "not tried"]

RESULTS = {
    "proven": "holds for all inputs, in every cycle",
    "bounded": "holds for all inputs in so many cycles from reset",
    "broken": "does not hold; there is an example",
    "open": "not decided in the time that was given",
    "not tried": "out of reach of these proofs; the reason is given",
}
"""What can be found of a statement."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found of a statement.

    Parameters
    ----------
    result : str
        A key of `RESULTS`.
    engine : str
        The tool that decided it, with its version.
    depth : int or None
        Cycles from reset, if bounded, or of the induction.
    instances : int
        Questions that were put to the engine.
    seconds : float
        Of a processor, when it was decided.
    note : str
        Why it was not tried or stayed open, or in short what is broken.
    example : dict, optional
        Inputs for which it does not hold.
    """

    result: Result
    engine: str = ""
    depth: int | None = None
    instances: int = 0
    seconds: float = 0.0
    note: str = ""
    example: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Something that is to hold of a design.

    Parameters
    ----------
    part : str
        A key of `macforge.prove.parts.PARTS`.
    text : str
        What holds, in a line.
    decide : callable
        ``decide(seconds)``: the verdict, of which no single question took longer than so many seconds.
    replay : callable, optional
        ``replay(example, waves)``: what the simulator says of an example, with waves of a format.
    """

    part: str
    text: str
    decide: Callable[[float], Verdict]
    replay: Callable[[dict[str, Any], str], Any] | None = None

    def to_table(self, design: str, verdict: Verdict) -> dict[str, Any]:
        """As plain data, with what was found."""
        return {"design": design, "part": self.part, "statement": self.text, **asdict(verdict)}
