"""Faults in a part of a design, and what its bench makes of each."""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from hw.emit.tools import ToolError
from macforge.design.design import Design
from macforge.mutate.parts import PARTS
from macforge.mutate.subject import Bench, Subject
from macforge.provenance import cached_figures, substance
from tb.mutation.child import Ended, in_child
from tb.mutation.equal import SOLVER, Equivalence
from tb.mutation.netlist import Mutants, Mutation, mutants_of

__all__ = ["RESULTS", "mutate_design"]

Result = Literal["killed", "equivalent", "survived", "not decided"]

RESULTS = {
    "killed": "the bench finds a difference from the model, the hardware never ends, or the simulator stops",
    "equivalent": "proven to compute the same",
    "survived": "the bench finds nothing, and inputs are known for which the hardware differs",
    "not decided": "the bench finds nothing, and it is not proven that there is nothing to find",
}
"""What can become of a fault."""

# Of what the hardware takes without a fault, and seconds besides, after which a fault is taken to hang.
_PATIENCE, _AT_LEAST = 10, 2
_FOR_THE_RIGHT_ONE = 600


def mutate_design(
    design: Design, part: str, *, count: int = 200, seed: int = 0, seconds: float = 10.0, only: int | None = None
) -> dict[str, Any]:
    """Give a part of a design one fault after the other, and run its bench on each.

    What has become of a fault is kept on disk, by all that made it, so that a run that was stopped goes on from there.

    Parameters
    ----------
    design : Design
    part : str
        A key of `macforge.mutate.parts.PARTS`.
    count : int
        How many faults; as many as there are, if there are fewer.
    seed : int
        Of which faults are taken.
    seconds : float
        How long a question to the solver may take.
    only : int, optional
        The one fault to run, by its number.

    Returns
    -------
    dict
        ``mutants``, ``killed``, ``equivalent``, ``survived`` and ``not decided`` are numbers of faults; ``score`` is
        killed / (mutants - equivalent), None if there are no others; ``survivors`` describes all that were not killed
        and are not equivalent, and with ``only`` that fault, whatever became of it.

    Raises
    ------
    ValueError
        If the design has no such part, or no fault of that number.
    ToolError
        If the bench finds something without a fault.
    """
    trials = _Trials(design, part, count, seed, seconds)
    mutations = trials.mutants.mutations
    if only is not None:
        if not 1 <= only <= len(mutations):
            raise ValueError(f"Number of a mutant must be from 1 to {len(mutations)} for {part}, not {only}")
        mutations = mutations[only - 1 : only]
    found = [(mutation, trials.result(mutation)) for mutation in mutations]
    number = Counter(told["result"] for _mutation, told in found)
    others = len(found) - number["equivalent"]
    listed = [
        {"number": mutation.number, "mode": mutation.mode, "place": mutation.place, "source": mutation.source, **told}
        for mutation, told in found
        if only is not None or told["result"] in ("survived", "not decided")
    ]
    return {
        "design": design.name,
        "part": part,
        "mutants": len(found),
        **{result: number[result] for result in RESULTS},
        "score": number["killed"] / others if others else None,
        "seconds": sum(told["seconds"] for _mutation, told in found),
        "engine": SOLVER,
        "survivors": listed,
    }


class _Trials:
    """Runs one fault after the other; what all of them take is made when the first of them is not known yet."""

    def __init__(self, design: Design, part: str, count: int, seed: int, seconds: float) -> None:
        self._key = (substance(design.to_table()), part, count, seed, seconds)
        self._seconds = seconds
        self._subject: Subject = PARTS[part](design)
        self.mutants: Mutants = mutants_of(self._subject.unit, self._subject.modules, count=count, seed=seed)
        if not self.mutants.mutations:
            raise ValueError(f"Part must have logic for a fault, which {part} of {design.name} has not")

    def result(self, mutation: Mutation) -> Mapping[str, Any]:
        """What becomes of a fault: ``result``, a key of `RESULTS`; ``how`` it was found; ``seconds`` of a processor."""
        return cached_figures("mutant", *self._key, mutation.number, compute=lambda: self._run(mutation.number))

    def _run(self, number: int) -> dict[str, Any]:
        # made here, and not again in every child
        bench = self._bench
        ended = in_child(lambda: bench.failure(number), seconds=self._patience)
        result: Result = "killed"
        if not ended.failure:
            equivalence, subject = self._equivalence, self._subject
            found = (
                equivalence.of_paths(number, subject.allowed) if subject.only_delays else equivalence.of_states(number)
            )
            results: dict[str, Result] = {"equivalent": "equivalent", "different": "survived", "open": "not decided"}
            result = results[found]
        return {"result": result, "how": ended.failure, "seconds": ended.seconds}

    @cached_property
    def _bench(self) -> Bench:
        bench = self._subject.bench(self.mutants)
        bench.build()
        return bench

    @cached_property
    def _equivalence(self) -> Equivalence:
        return Equivalence(self.mutants, seconds=self._seconds)

    @cached_property
    def _patience(self) -> float:
        """Seconds that a fault gets."""
        bench = self._bench
        ended: Ended = in_child(lambda: bench.failure(0), seconds=_FOR_THE_RIGHT_ONE)
        if ended.failure:
            raise ToolError(f"Bench must find nothing where there is no fault, not: {ended.failure}")
        return _AT_LEAST + _PATIENCE * ended.seconds
