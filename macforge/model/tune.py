"""Which design each layer of a model goes to: the least loss within budgets."""

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from macforge.extras import require_extras

__all__ = ["Choice", "Option", "choose", "front"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """A layer on a design.

    Parameters
    ----------
    design : str
    loss : float
        What is lost.
    costs : mapping of str to float
        What it takes of each budget, such as ``cycles`` and ``bytes``.
    is_requantized : bool
        Whether the design does not take the layer as it is stored.
    """

    design: str
    loss: float
    costs: Mapping[str, float] = field(default_factory=dict)
    is_requantized: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An option for each layer.

    Parameters
    ----------
    options : mapping of str to Option
        By the names of the layers.
    """

    options: Mapping[str, Option]

    @property
    def loss(self) -> float:
        """Of all layers."""
        return sum(option.loss for option in self.options.values())

    def cost(self, budget: str, fixed: Mapping[str, Mapping[str, float]] | None = None) -> float:
        """What all layers take of a budget, and the designs in use, see `choose`."""
        used = {option.design for option in self.options.values()}
        of_designs = sum((fixed or {}).get(design, {}).get(budget, 0.0) for design in sorted(used))
        return sum(option.costs.get(budget, 0.0) for option in self.options.values()) + of_designs


def choose(
    layers: Mapping[str, Sequence[Option]],
    budgets: Mapping[str, float],
    *,
    fixed: Mapping[str, Mapping[str, float]] | None = None,
) -> Choice:
    """The options of least loss, one for each layer, as an integer linear program by HiGHS.

    ::

        minimize    sum over layers of loss[option]
        subject to  sum over layers of costs[option][budget] + sum over designs in use of fixed[design][budget]
                    <= budgets[budget], for each budget

    Source: Yao et al., HAWQ-V3, arXiv 2011.10680, section 3.4.

    Parameters
    ----------
    layers : mapping of str to sequence of Option
        By names: what each layer may go to.
    budgets : mapping of str to float
    fixed : mapping of str to mapping of str to float, optional
        What a design takes of budgets as soon as one layer goes to it, such as ``lut``.

    Raises
    ------
    ValueError
        If a layer has no option, or no choice keeps within the budgets; says the least of each that is possible.
    ModuleNotFoundError
        If the extra ``tune`` is not installed.
    """
    return _optimum(layers, budgets, fixed or {}, {})


def front(
    layers: Mapping[str, Sequence[Option]],
    budget: str,
    budgets: Mapping[str, float] | None = None,
    *,
    fixed: Mapping[str, Mapping[str, float]] | None = None,
    points: int = 16,
) -> list[Choice]:
    """Choices of which none loses less without taking more of one budget, from the cheapest one on.

    Each is the best within the budget's own number: ``points`` of them, in equal ratios from the least that is possible
    to what the least loss takes. What is the same, or loses no less than a cheaper one, is there once.

    Parameters
    ----------
    layers, budgets, fixed
        As for `choose`; ``budgets`` are those of other kinds.
    budget : str
    points : int
        2 at least.

    Raises
    ------
    ValueError
        As `choose`.
    """
    others = {name: most for name, most in (budgets or {}).items() if name != budget}
    best = choose(layers, others, fixed=fixed)
    cheap = {
        name: [replace(option, loss=option.costs.get(budget, 0.0)) for option in options]
        for name, options in layers.items()
    }
    taken = {design: each.get(budget, 0.0) for design, each in (fixed or {}).items()}
    least, most = (each.cost(budget, fixed) for each in (_optimum(cheap, others, fixed or {}, taken), best))
    found = [best]
    for limit in reversed(np.geomspace(max(least, 1e-9), max(most, least, 1e-9), points)[:-1]):
        # a solver's tolerance is not to cut off the cheapest one
        choice = choose(layers, {**others, budget: limit * (1 + 1e-9)}, fixed=fixed)
        if choice.cost(budget, fixed) < found[-1].cost(budget, fixed):
            found.append(choice)
    return found[::-1]


def _optimum(
    layers: Mapping[str, Sequence[Option]],
    budgets: Mapping[str, float],
    fixed: Mapping[str, Mapping[str, float]],
    losses: Mapping[str, float],
) -> Choice:
    """As `choose`, where designs that are in use have losses too."""
    require_extras("tune")
    from scipy.optimize import Bounds, LinearConstraint, milp

    for name, options in layers.items():
        if not options:
            raise ValueError(f"Layer {name} must have a design that it may go to")
    flat = [(name, option) for name, options in layers.items() for option in options]
    designs = list(dict.fromkeys(option.design for _, option in flat))
    rows, most = _constraints(flat, designs, budgets, fixed)
    size = len(flat) + len(designs)
    of_each = np.zeros((len(layers), size))
    places = {name: at for at, name in enumerate(layers)}
    for at, (name, _) in enumerate(flat):
        of_each[places[name], at] = 1
    with _quiet():
        found = milp(
            np.array([option.loss for _, option in flat] + [losses.get(design, 0.0) for design in designs]),
            integrality=np.ones(size),
            bounds=Bounds(0, 1),
            constraints=[LinearConstraint(of_each, 1, 1), LinearConstraint(rows, -np.inf, most)],
        )
    if found.x is None:
        raise ValueError(f"Budgets must be such that a choice is possible: {_least(layers, budgets, fixed)}")
    return Choice(options={name: option for taken, (name, option) in zip(found.x, flat, strict=False) if taken > 0.5})


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what HiGHS writes to the standard output of the process, past Python, whatever its options say."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        # what the C library has not written yet is not to come later
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _constraints(
    flat: Sequence[tuple[str, Option]],
    designs: Sequence[str],
    budgets: Mapping[str, float],
    fixed: Mapping[str, Mapping[str, float]],
) -> tuple[np.ndarray, Any]:
    """Rows and upper limits: of the budgets, and that a layer goes only to a design that is in use."""
    count = len(flat)
    of_budgets = np.array(
        [
            [option.costs.get(budget, 0.0) for _, option in flat]
            + [fixed.get(design, {}).get(budget, 0.0) for design in designs]
            for budget in budgets
        ]
    ).reshape(len(budgets), count + len(designs))
    in_use = np.zeros((count, count + len(designs)))
    for at, (_, option) in enumerate(flat):
        in_use[at, at], in_use[at, count + designs.index(option.design)] = 1, -1
    # budgets are counted in their own size, as a solver's tolerances are absolute
    limits = np.array(list(budgets.values()), dtype=float).reshape(-1)
    scales = np.where(limits > 0, limits, 1.0)
    return np.vstack([of_budgets / scales[:, None], in_use]), np.concatenate([limits / scales, np.zeros(count)])


def _least(
    layers: Mapping[str, Sequence[Option]], budgets: Iterable[str], fixed: Mapping[str, Mapping[str, float]]
) -> str:
    """The least of each budget that some choice takes, for people; of a design in use, the least of all of them."""
    told = []
    for budget in budgets:
        least = sum(min(option.costs.get(budget, 0.0) for option in options) for options in layers.values())
        least += min(fixed.get(option.design, {}).get(budget, 0.0) for each in layers.values() for option in each)
        told.append(f"{budget} of at least {least:,.0f}")
    return ", ".join(told)
