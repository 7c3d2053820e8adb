"""What an injection comes to, and how sure shares of injections are."""

import math

import numpy as np

from tb.faults import ENDS

__all__ = ["KINDS", "interval", "kinds_of"]

KINDS = {
    "masked": "results and status are right, on time or late",
    "detected": "the accelerator said so: an error with its cause, an access that was answered by an error, or a "
    "faulty row of sums that it counted and could not correct",
    "corrected": "results are right, and the accelerator has counted faulty rows, all of them as corrected",
    "silent": "a result is wrong, something else was written, or a rule of the bus was broken; the status says done",
    "hung": "the driver's time was over, or a register did not answer",
}
"""What can come of an injection."""

# Of the standard normal distribution, both sides.
_QUANTILE_95 = 1.959963984540054


def kinds_of(outcomes: np.ndarray) -> np.ndarray:
    """The number in `KINDS` of each outcome.

    A driver of an accelerator with check columns is taken to read both counters of faults when all is done.

    Parameters
    ----------
    outcomes : array of tb.faults.OUTCOME
    """
    hung = np.isin(outcomes["end"], [ENDS.index("late"), ENDS.index("no answer")])
    detected = (outcomes["end"] == ENDS.index("given up")) | (outcomes["refused"] != 0)
    detected |= outcomes["faults"] > outcomes["corrected"]
    silent = (outcomes["wrong"] | outcomes["outside"] | outcomes["broken"]) != 0
    conditions = {"hung": hung, "detected": detected, "silent": silent, "corrected": outcomes["faults"] > 0}
    names = list(KINDS)
    return np.select(list(conditions.values()), [names.index(name) for name in conditions], names.index("masked"))


def interval(count: int, total: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for the share that ``count`` of ``total`` stand for; (0, 1) of nothing.

    ``(p + z**2 / 2n +- z sqrt(p (1 - p) / n + z**2 / 4n**2)) / (1 + z**2 / n)`` (E. B. Wilson, JASA 22, 1927).
    """
    if not total:
        return 0.0, 1.0
    share, more = count / total, _QUANTILE_95**2 / total
    half = _QUANTILE_95 * math.sqrt(share * (1 - share) / total + more / (4 * total))
    low, high = (share + more / 2 - half) / (1 + more), (share + more / 2 + half) / (1 + more)
    return max(low, 0.0), min(high, 1.0)
