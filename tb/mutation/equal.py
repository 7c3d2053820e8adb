"""Mutants that no bench can find, since they compute the same: decided by SAT, of the netlist with all faults."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from bitwuzla import Bitwuzla, Kind, Option, Options, Result, Term
from bitwuzla import version as solver_version

from tb.formal.netlist import netlist
from tb.formal.transition import Step, Transition
from tb.formal.words import Bits, Circuit, size
from tb.mutation.netlist import SELECTOR, Mutants

__all__ = ["SOLVER", "Equivalence", "Found"]

SOLVER = f"bitwuzla {solver_version()}"

Found = Literal["equivalent", "different", "open"]

_SCRIPT = """
hierarchy -top {top}
proc -norom
flatten
memory_collect
memory_map -rom-only
opt_clean
opt_expr
opt_clean
"""


class Equivalence:
    """Decides whether a mutant computes what the unit without a fault does.

    Parameters
    ----------
    mutants : Mutants
    seconds : float
        How long a question may take.
    """

    def __init__(self, mutants: Mutants, *, seconds: float) -> None:
        self._mutants, self._seconds = mutants, seconds
        self._bits = Bits()

    def of_paths(self, number: int, allowed: Mapping[tuple[str, int, int], Sequence[int]]) -> Found:
        """Of a circuit whose registers only delay: whether all outputs are equal for all inputs.

        Parameters
        ----------
        number : int
        allowed : mapping of (str, int, int) to sequence of int
            Of an input port, of its bits from one on, so many: the numbers that can occur, if not all.

        Raises
        ------
        NotFeedForwardError
            If the circuit has feedback.
        """
        right, wrong = (self._outputs(each) for each in (0, number))
        for port, (term, age) in right.items():
            other, later = wrong[port]
            # a constant has no age
            if age != later and age and later:
                return "different"
            found = self._differ(term, other, [self._is_one_of(*each) for each in allowed.items()])
            if found != "equivalent":
                return found
        return "equivalent"

    def of_states(self, number: int) -> Found:
        """Of any circuit: whether outputs stay equal from equal states on, by induction over one cycle.

        Bits of registers of which that cannot be said are taken to differ, until all others are known to stay equal.
        ``open`` says that some state and input show a difference; whether they can ever come is not decided.
        """
        # the bits of each register that are those of the one with the fault, and need not be equal
        own: dict[str, int] = {}
        while True:
            right, wrong = self._step(0, {}), self._step(number, own)
            if any(self._differ(term, wrong.outputs[port], ()) != "equivalent" for port, term in right.outputs.items()):
                return "open"
            more = {
                name: self._differing(term, wrong.nexts[name], own.get(name, 0)) for name, term in right.nexts.items()
            }
            grown = {name: bits for name, bits in more.items() if bits != own.get(name, 0)}
            if not grown:
                return "equivalent"
            if any(name in right.memories for name in grown):
                # what memories hold is the same for both
                return "open"
            own |= grown

    def _differing(self, one: Term, other: Term, known: int) -> int:
        """Bits that may differ, besides those that are ``known`` to: a mask."""
        if one.id() == other.id():
            return known
        every = (1 << size(one)) - 1
        while known != every:
            others = self._bits.constant(~known, size(one))
            pair = [self._bits.of(Kind.BV_AND, term, others) for term in (one, other)]
            solver = self._solver()
            solver.assert_formula(self._bits.of(Kind.DISTINCT, *pair))
            match solver.check_sat():
                case Result.UNSAT:
                    return known
                case Result.SAT:
                    x, y = (int(solver.get_value(term).value(2), 2) for term in pair)
                    known |= x ^ y
                case _:
                    return every
        return known

    def _differ(self, one: Term, other: Term, given: Sequence[Term]) -> Found:
        if one.id() == other.id():
            return "equivalent"
        solver = self._solver()
        solver.assert_formula(self._bits.of(Kind.DISTINCT, one, other))
        for each in given:
            solver.assert_formula(each)
        match solver.check_sat():
            case Result.UNSAT:
                return "equivalent"
            case Result.SAT:
                return "different"
        return "open"

    def _solver(self) -> Bitwuzla:
        options = Options()
        options.set(Option.TIME_LIMIT_PER, max(1, int(1000 * self._seconds)))
        options.set(Option.PRODUCE_MODELS, True)
        return Bitwuzla(self._bits.manager, options)

    def _is_one_of(self, part: tuple[str, int, int], numbers: Sequence[int]) -> Term:
        name, low, width = part
        term = self._bits.slice(self._bits.named(name, self._width(name)), low, width)
        equal = [self._bits.of(Kind.EQUAL, term, self._bits.constant(number, size(term))) for number in numbers]
        return equal[0] if len(equal) == 1 else self._bits.of(Kind.OR, *equal)

    def _outputs(self, number: int) -> dict[str, tuple[Term, int]]:
        circuit = Circuit(self._bits, self._selected(number))
        return {name: circuit.output(name, self._inputs) for name in self._ports("output")}

    def _step(self, number: int, own: Mapping[str, int]) -> Step:
        """With bits of registers of its ``own``, masks, that need not be as those of the right one."""
        if not own and number in self._steps:
            return self._steps[number]
        transition = Transition(self._bits, self._selected(number))
        step = transition.step(self._inputs, lambda name, width: self._held(name, width, number, own.get(name, 0)))
        if not number:
            self._steps[number] = step
        return step

    def _held(self, name: str, width: int, number: int, own: int) -> Term:
        bits, shared = self._bits, self._bits.named(name, width)
        if not own:
            return shared
        kept = bits.of(Kind.BV_AND, shared, bits.constant(~own, width))
        changed = bits.of(Kind.BV_AND, bits.named(f"{name} of {number}", width), bits.constant(own, width))
        return bits.of(Kind.BV_OR, kept, changed)

    @cached_property
    def _steps(self) -> dict[int, Step]:
        return {}

    @cached_property
    def _inputs(self) -> dict[str, Term]:
        """Of the unit; the selector and the clock are none."""
        return {name: self._bits.named(name, self._width(name)) for name in self._ports("input")}

    def _ports(self, way: str) -> list[str]:
        ports = self._module["ports"].items()
        return [name for name, port in ports if port["direction"] == way and name not in (SELECTOR, "clk")]

    def _width(self, name: str) -> int:
        return len(self._module["ports"][name]["bits"])

    @cached_property
    def _module(self) -> Mapping[str, Any]:
        return netlist(self._mutants.netlist, self._mutants.top, _SCRIPT)

    @cached_property
    def _conditions(self) -> dict[Any, int]:
        """Wires that are 1 for one number of the selector, and that number."""
        selector, found = self._module["ports"][SELECTOR]["bits"], {}
        for cell in self._module["cells"].values():
            pins = cell["connections"]
            if cell["type"] == "$eq" and pins["A"] == selector and set(pins["B"]) <= {"0", "1"}:
                found[pins["Y"][0]] = int("".join(reversed(pins["B"])), 2)
        return found

    def _selected(self, number: int) -> Mapping[str, Any]:
        """The netlist with one fault, or none, and without the choice."""
        same, kept = {}, {}
        for name, cell in self._module["cells"].items():
            pins = cell["connections"]
            if cell["type"] == "$mux" and pins["S"][0] in self._conditions:
                chosen = "B" if self._conditions[pins["S"][0]] == number else "A"
                same.update(zip(pins["Y"], pins[chosen], strict=True))
            else:
                kept[name] = cell

        def followed(bits: Sequence[Any]) -> list[Any]:
            found = []
            for bit in bits:
                while bit in same:
                    bit = same[bit]
                found.append(bit)
            return found

        def rewired(cell: Mapping[str, Any]) -> dict[str, Any]:
            return {**cell, "connections": {pin: followed(bits) for pin, bits in cell["connections"].items()}}

        ports = {name: {**port, "bits": followed(port["bits"])} for name, port in self._module["ports"].items()}
        return {**self._module, "ports": ports, "cells": {name: rewired(cell) for name, cell in kept.items()}}
