"""Proofs that a cell, with the encoders of its row and column, adds what the model says, for all codes and sums.

The proof is by induction over groups of lanes, as `tb.formal.laws` says. Each equation is an instance for an SMT
solver: all codes, all masks of the lanes in front, all addends that there can be. Where one product takes the solver
too long, one instance for each code of the weight is easier, or for each pair of codes.
"""

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from bitwuzla import Bitwuzla, Kind, Option, Options, Result, Term
from bitwuzla import version as solver_version

from hw.core.digest import digest
from hw.emit.cache import cached_json
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from pe.base import PE
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum
from sw_ref.engine.spec import Mode
from sw_ref.wide import integer_type, wrapped
from tb.core import EncodedCore, Trial, simulate_cores
from tb.formal.laws import Law, Step, law_of, why_not
from tb.formal.words import Bits, FeedForward, size
from tb.runner import Outcome

__all__ = ["SOLVER", "CellProof", "Equation", "Found"]

SOLVER = f"bitwuzla {solver_version()}"

# Of the time that an equation may take, what is spent before it is split.
_WHOLE = 0.2
# As many times that may an equation take, with all that it is split into or, if it cannot be split, at once.
_ALL = 20
# Codes by which an equation is split, at most.
_SPLIT_BITS = 8


@dataclass(frozen=True)
class Equation:
    """What is proven of a cell.

    Parameters
    ----------
    mode : int
        Which of `PE.modes`.
    group : int or None
        Which of `tb.formal.laws.Law.groups` is added; None: no lane counts.
    """

    mode: int
    group: int | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is known of an equation.

    Parameters
    ----------
    result : {"proven", "broken", "open"}
        ``open``: not decided in the time that was given.
    instances : int
        That were decided: one, or those of all codes.
    seconds : float
        Of a processor.
    example : dict of str to int
        Codes, mask and addend for which the equation does not hold.
    """

    result: Literal["proven", "broken", "open"]
    instances: int
    seconds: float
    example: dict[str, int] | None = None


class _ModularTrial(Trial):
    """Steps whose sums count modulo ``2**bits``, as equations do, whatever the accumulator makes of an overflow."""

    @property
    def sums(self) -> np.ndarray:
        return wrapped(self.totals, self.accumulator.bits)


class CellProof:
    """Equations of a cell, and their proofs.

    Parameters
    ----------
    pe : PE
    accumulator : Accumulator

    Raises
    ------
    ToolError
        If `why_not` says why, or the circuit or a format has no terms.
    """

    def __init__(self, pe: PE, accumulator: Accumulator | FloatSum) -> None:
        if (reason := why_not(pe, accumulator)) is not None:
            raise ToolError(f"Cell {pe.name} cannot be proven: {reason}")
        self._pe, self._accumulator = pe, accumulator
        self._unit = EncodedCore(pe=pe, accumulator=accumulator)

    @property
    def equations(self) -> list[Equation]:
        """All that together say what the cell adds."""
        return [
            Equation(index, group)
            for index, mode in enumerate(self._pe.modes)
            for group in (None, *range(len(self._law.groups(mode))))
        ]

    def lanes(self, equation: Equation) -> tuple[int, ...]:
        """Lanes of the group that is added."""
        if equation.group is None:
            return ()
        return self._law.groups(self._pe.modes[equation.mode])[equation.group]

    def decide(self, equation: Equation, *, seconds: float) -> Found:
        """Prove an equation, or find where it does not hold.

        What is found is kept on disk, by the instance as the solver gets it; what stays open is not.

        Parameters
        ----------
        equation : Equation
        seconds : float
            How long each instance may take; a fifth of it, if it can be split. All of an equation may take twenty times
            that, and so may one that cannot be split.
        """
        wrong, codes = self._wrong(equation)
        text = self._solver(wrong, seconds).print_formula("smt2")
        searched: dict[str, Any] = {}

        def compute() -> dict[str, Any]:
            start = time.process_time()
            limit = seconds if codes else _ALL * seconds
            instances, example = self._search(wrong, codes, limit, start + _ALL * seconds)
            result = "open" if example is None else "broken" if example else "proven"
            spent = time.process_time() - start
            searched.update(result=result, instances=instances, seconds=spent, example=example or None)
            return searched

        # how it is asked has a say, too
        key = digest(text, SOLVER, Path(__file__).read_text(encoding="utf-8"))
        return Found(**cached_json("cell_proof", key, compute, is_valid=lambda: searched["result"] != "open"))

    def replay(self, equation: Equation, example: dict[str, int], *, waves: str = "") -> Outcome:
        """Simulate the two steps of which an equation says that their sums are equal.

        Where they are not, one of them at least differs from the model.

        Parameters
        ----------
        equation : Equation
        example : dict of str to int
            Codes, masks and an addend, see `Found`.
        waves : {"", "vcd", "fst"}
            Format of the waves to record, if any.
        """
        return simulate_cores([self._trial(equation, example)], waves=waves)

    def _trial(self, equation: Equation, example: dict[str, int]) -> Trial:
        mode, addend = self._pe.modes[equation.mode], self._number(example["addend"])
        codes = {
            side: np.array([example[side] >> lane * form.bits & (1 << form.bits) - 1 for lane in range(mode.lanes)])
            for side, form in (("act", mode.act), ("weight", mode.weight))
        }
        each, lanes = self._pe.lanes // mode.lanes, list(self.lanes(equation))
        counts = np.array([example["mask"] >> lane * each & 1 for lane in range(mode.lanes)], bool)
        first, (counted, without) = lanes[0] if lanes else 0, (counts.copy(), counts.copy())
        without[first:] = counted[first + len(lanes) :] = False
        if len(lanes) == 1:
            counted[first] = True
        of_group = {"mask": counted[lanes], **{side: row[lanes] for side, row in codes.items()}}
        masks, addends = [counted], [addend]
        if lanes:
            masks += [without]
            addends += [self._number(self._law.moved(mode, of_group, addend))]
        steps = len(masks)
        # lanes that the mode has not are of no account
        words = {
            side: np.resize(np.pad(row, (0, self._pe.lanes - mode.lanes)), (steps, self._pe.lanes))
            for side, row in codes.items()
        }
        kind = Trial if isinstance(self._accumulator, FloatSum) else _ModularTrial
        return kind(
            pe=self._pe,
            accumulator=self._accumulator,
            mask=np.repeat(masks, each, axis=1).astype(bool),
            addend=np.array(addends, integer_type(self._accumulator.bits)),
            mode=np.full(steps, equation.mode),
            **words,
        )

    def _number(self, addend: int) -> int:
        """An addend as the model has it: a code of a float, or in two's complement."""
        if isinstance(self._accumulator, FloatSum):
            return addend
        return _signed(addend, self._accumulator.bits)

    def _search(
        self, wrong: Term, codes: Sequence[Term], seconds: float, end: float
    ) -> tuple[int, dict[str, int] | None]:
        """Instances that were decided, and inputs for which the equation does not hold, see `_ask`.

        What takes too long is split by all that the first of ``codes`` can be, and then by the next one.
        """
        example = self._ask(wrong, _WHOLE * seconds if codes else seconds)
        if example is not None or not codes:
            return int(example is not None), example
        first, *others = codes
        count = 0
        for code in range(1 << size(first)):
            if time.process_time() > end:
                return count, None
            fixed = self._bits.of(Kind.EQUAL, first, self._bits.constant(code, size(first)))
            more, example = self._search(self._bits.of(Kind.AND, wrong, fixed), others, seconds, end)
            count += more
            if example != {}:
                break
        return count, example

    @functools.cached_property
    def _bits(self) -> Bits:
        return Bits()

    @functools.cached_property
    def _circuit(self) -> FeedForward:
        return FeedForward(self._bits, emit_verilog(self._unit), self._unit.name)

    @functools.cached_property
    def _inputs(self) -> dict[str, Term]:
        """Any codes, masks and addends."""
        names = ("act", "weight", "mask", "addend")
        return {name: self._bits.variable(name, self._circuit.width(name)) for name in names}

    @functools.cached_property
    def _law(self) -> Law:
        return law_of(self._bits, self._pe, self._accumulator)

    def _sum(self, mode: int, **given: Term) -> Term:
        """What the circuit gives, with ``given`` in place of some inputs."""
        chosen = {"mode": self._bits.constant(mode, self._pe.mode_bits)} if self._pe.mode_bits else {}
        term, age = self._circuit.output("sum", {**self._inputs, **chosen, **given})
        if age != self._unit.latency:
            raise ToolError(f"Cell {self._pe.name} must have a latency of {self._unit.latency}, not {age}")
        return term

    def _wrong(self, equation: Equation) -> tuple[Term, list[Term]]:
        """That the equation does not hold; and the codes by which it can be split."""
        bits, addend = self._bits, self._inputs["addend"]
        possible = self._law.possible(addend)
        if equation.group is None:
            empty = bits.constant(0, self._pe.lanes)
            differs = bits.of(Kind.DISTINCT, self._sum(equation.mode, mask=empty), addend)
            return bits.of(Kind.AND, possible, differs), []
        mode, group = self._pe.modes[equation.mode], self.lanes(equation)
        act, weight = (
            [bits.slice(self._inputs[side], lane * form.bits, form.bits) for lane in range(mode.lanes)]
            for side, form in (("act", mode.act), ("weight", mode.weight))
        )
        counted = self._counts(mode, len(group), group[0])
        step = Step(mode=mode, group=group, act=act, weight=weight, counts=counted, addend=addend)
        with_group = self._mask(mode, counted)
        without = self._mask(
            mode, [bits.constant(0, 1) if lane in group else each for lane, each in enumerate(counted)]
        )
        wrong = self._law.wrong(
            step,
            lambda given: self._sum(equation.mode, mask=with_group, addend=given),
            lambda given: self._sum(equation.mode, mask=without, addend=given),
        )
        codes = [weight[group[0]], act[group[0]]] if len(group) == 1 else []
        splits = codes if all(size(code) <= _SPLIT_BITS for code in codes) else []
        return bits.of(Kind.AND, possible, wrong), splits

    def _counts(self, mode: Mode, lanes: int, first: int) -> list[Term]:
        """Whether each lane counts, where none behind the group does; a single one of the group does."""
        bits, each, counts = self._bits, self._pe.lanes // mode.lanes, []
        for lane in range(mode.lanes):
            known = None if lane < first or (lanes > 1 and lane < first + lanes) else int(lane == first)
            counts.append(
                bits.slice(self._inputs["mask"], lane * each, 1) if known is None else bits.constant(known, 1)
            )
        return counts

    def _mask(self, mode: Mode, counts: Sequence[Term]) -> Term:
        """A mask in which the lanes of a product are alike."""
        each = self._pe.lanes // mode.lanes
        return self._bits.concat([count for count in counts for _lane in range(each)])

    def _ask(self, wrong: Term, seconds: float) -> dict[str, int] | None:
        """Inputs for which ``wrong`` is so; none if there are none; None if that is not found out in time."""
        solver = self._solver(wrong, seconds)
        match solver.check_sat():
            case Result.UNSAT:
                return {}
            case Result.SAT:
                return {name: int(solver.get_value(term).value(10)) for name, term in self._inputs.items()}
        return None

    def _solver(self, wrong: Term, seconds: float) -> Bitwuzla:
        options = Options()
        options.set(Option.PRODUCE_MODELS, True)
        options.set(Option.TIME_LIMIT_PER, max(1, int(1000 * seconds)))
        solver = Bitwuzla(self._bits.manager, options)
        solver.assert_formula(wrong)
        return solver


def _signed(number: int, bits: int) -> int:
    """``number`` modulo ``2**bits``, in two's complement."""
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
