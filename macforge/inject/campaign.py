"""Injections into a design's accelerator: drawn, run in chunks that are kept, and counted."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from macforge.inject.outcome import KINDS, interval, kinds_of
from macforge.inject.places import classes_of
from macforge.provenance import cached_figures, substance
from macforge.run.random_products import random_products
from sw_ref.accelerator.registers import Cause
from sw_ref.engine.product import Product
from tb.faults import ENDS, INJECTION, NEXT, OUTCOME, FaultSimulator
from tb.state import Stored, stored_bits

__all__ = ["CHUNK", "Campaign"]

CHUNK = 500
"""Injections that are run, and kept, at once."""

# Products along K where a design has no groups, of which products have two.
_K = 24
_FRACTION_BITS = 32
# Registers that are named of those with silent faults.
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Single bit flips in the accelerator of a design, each in a run of its own.

    Injection ``i`` is in class ``i`` modulo the number of classes. Within a class its bit is drawn uniformly, and so is
    its cycle, from the doorbell to when the driver knows that all products are done. Number and seed alone say which
    bit it is, and when.

    Parameters
    ----------
    design : Design
    seed : int
        Of bits, cycles, operands, stalls of the memory, and of what registers hold in the beginning.
    """

    design: Design
    seed: int = 0

    @cached_property
    def stored(self) -> list[Stored]:
        """What can be flipped."""
        unit = self.design.accelerator
        return stored_bits(emit_verilog(unit), unit.name)

    @cached_property
    def classes(self) -> dict[str, list[int]]:
        """Numbers in `stored` of each class."""
        return classes_of(self.stored)

    @cached_property
    def products(self) -> list[Product]:
        """Two sizes that are under way at once, with more than a tile each way and two groups, and the next product."""
        design, random = self.design, np.random.default_rng(self.seed)
        spec = design.engine.spec
        k = min(2 * spec.group_size or _K, spec.max_k)
        m, n = spec.rows + 1, spec.cols + 2
        first = random_products(design, random, m=m, n=n, k=k)
        second = random_products(design, random, m=2, n=3, k=k // 2 + 1)
        return [*first, second[-1], random_products(design, random, m=m, n=n, k=k)[0]]

    def simulator(self, *, injections: int, waves: bool = False) -> FaultSimulator:
        """The accelerator with these products, for about so many injections in all."""
        unit = self.design.accelerator
        return FaultSimulator(unit, self.products, seed=self.seed, injections=injections, waves=waves)

    def drawn(self, chunk: int) -> tuple[np.ndarray, np.ndarray]:
        """Injections of a chunk, whose cycle is 0 still, and the fraction of the window of each, in 2**-32."""
        random, classes = np.random.default_rng([self.seed, chunk]), list(self.classes.values())
        numbers, fractions = random.integers(0, 1 << 62, (2, CHUNK))
        injections = np.zeros(CHUNK, INJECTION)
        of_class = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK) % len(classes)
        for index, variables in enumerate(classes):
            ends = np.cumsum([self.stored[each].size for each in variables])
            mine = of_class == index
            bits = numbers[mine] % ends[-1]
            which = np.searchsorted(ends, bits, side="right")
            injections["variable"][mine] = np.array(variables)[which]
            injections["bit"][mine] = bits - np.concatenate([[0], ends])[which]
        return injections, fractions >> 62 - _FRACTION_BITS

    def outcomes(self, count: int) -> np.ndarray:
        """What was found of the first ``count`` injections, chunk by chunk out of the cache or run.

        Returns
        -------
        array of tb.faults.OUTCOME
        """
        table, found = substance(self.design.to_table()), []
        with _Opened(self, count) as opened:
            for chunk in range(-(-count // CHUNK)):
                rows = cached_figures("inject", table, self.seed, chunk, CHUNK, compute=partial(opened.run, chunk))
                found.append(np.array([tuple(row) for row in rows], OUTCOME))
        return np.concatenate(found)[:count]

    def rows(self, count: int) -> list[dict[str, Any]]:
        """Plain data of each class: bits, injections, and of each of `KINDS` how many, their share and its interval.

        ``next_wrong``: not hung, and the product after it was not right. ``reset_wrong``: nor was one after a reset by
        the register; ``hung_not_reset``: of these, hung. ``false_alarms``: detected, and yet all was done and right.
        ``unnoticed_head``: silent, and the tail is not the head that the driver gave. ``silent_in``, ``hung_in``,
        ``reset_wrong_in``, ``hung_not_reset_in``: registers with most of these.
        """
        outcomes, kinds = self.outcomes(count), list(KINDS)
        of_class, kind = np.arange(count) % len(self.classes), kinds_of(outcomes)
        variables = np.concatenate([self.drawn(chunk)[0]["variable"] for chunk in range(-(-count // CHUNK))])[:count]
        rows = []
        for index, (name, members) in enumerate(self.classes.items()):
            mine = of_class == index
            counts = np.bincount(kind[mine], minlength=len(kinds))
            total = int(mine.sum())
            row = {"design": self.design.name, "class": name, "bits": sum(self.stored[each].size for each in members)}
            row["injections"] = total
            row |= {each: int(number) for each, number in zip(kinds, counts, strict=True)}
            row |= {
                f"{each}_interval": list(interval(int(number), total))
                for each, number in zip(kinds, counts, strict=True)
            }
            found = {name: mine & chosen for name, chosen in _afterwards(outcomes, kind).items()}
            row |= {name: int(chosen.sum()) for name, chosen in found.items() if name not in KINDS}
            named = ("silent", "hung", "reset_wrong", "hung_not_reset")
            rows.append(row | {f"{name}_in": self._named(variables[found[name]]) for name in named})
        return rows

    def _named(self, variables: np.ndarray) -> list[list[Any]]:
        """Names with the most of these, numbers of instances left out, and how many."""
        names = Counter(re.sub(r"\d+", "#", self.stored[each].full_name) for each in variables)
        return [list(each) for each in names.most_common(_NAMED)]

    def single(self, number: int, *, waves: Path | None = None) -> dict[str, Any]:
        """One injection again: what was flipped when, and what came of it.

        Parameters
        ----------
        number : int
        waves : Path, optional
            Where to write waves of the whole run (.vcd).
        """
        injections, fractions = self.drawn(number // CHUNK)
        at = number % CHUNK
        with self.simulator(injections=1, waves=waves is not None) as simulator:
            injection = _timed(injections, fractions, simulator.window)[at : at + 1]
            (outcome,) = simulator.inject(injection, waves=waves)
        variable, bit = self.stored[injection["variable"][0]], int(injection["bit"][0])
        found = {
            "design": self.design.name,
            "injection": number,
            "class": list(self.classes)[number % len(self.classes)],
        }
        found |= {"register": variable.full_name, "word": bit // variable.bits, "bit": bit % variable.bits}
        found |= {"cycle": int(injection["cycle"][0]), "outcome": list(KINDS)[kinds_of(outcome[None])[0]]}
        found |= {
            "end": ENDS[outcome["end"]],
            "cause": Cause(outcome["cause"]).name.lower() if outcome["cause"] else "",
        }
        flags = ("wrong", "outside", "broken", "refused", "lost")
        found |= {name: int(outcome[name]) for name in ("cycles", "faults", "corrected")}
        found |= {name: bool(outcome[name]) for name in flags}
        return found | {
            "next": "right" if outcome["converged"] else NEXT[outcome["next"]],
            "reset": NEXT[outcome["reset"]],
        }


def _afterwards(outcomes: np.ndarray, kind: np.ndarray) -> dict[str, np.ndarray]:
    """Which outcomes are silent or hung, and which are what `Campaign.rows` counts besides kinds."""
    silent, hung, detected = (kind == list(KINDS).index(each) for each in ("silent", "hung", "detected"))
    tried, wrong = (outcomes["reset"] != NEXT.index(each) for each in ("not tried", "right"))
    right = (outcomes["wrong"] | outcomes["outside"] | outcomes["broken"]) == 0
    return {
        "silent": silent,
        "hung": hung,
        "next_wrong": tried & ~hung,
        "reset_wrong": tried & wrong,
        "hung_not_reset": tried & wrong & hung,
        "false_alarms": detected & right & (outcomes["end"] == ENDS.index("done")),
        "unnoticed_head": silent & (outcomes["lost"] != 0),
    }


def _timed(injections: np.ndarray, fractions: np.ndarray, window: int) -> np.ndarray:
    """Injections with their cycles."""
    timed = injections.copy()
    timed["cycle"] = fractions * window >> _FRACTION_BITS
    return timed


class _Opened:
    """A simulator that is built when it is first needed."""

    def __init__(self, campaign: Campaign, injections: int) -> None:
        self._campaign = campaign
        self._injections = injections
        self._simulator: FaultSimulator | None = None

    def __enter__(self) -> "_Opened":
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._simulator:
            self._simulator.close()

    def run(self, chunk: int) -> list[list[int]]:
        """Fields of each outcome of a chunk."""
        if self._simulator is None:
            self._simulator = self._campaign.simulator(injections=self._injections)
        injections, fractions = self._campaign.drawn(chunk)
        found = self._simulator.inject(_timed(injections, fractions, self._simulator.window))
        return [list(row) for row in found.tolist()]
