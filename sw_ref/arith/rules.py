"""What one step of a processing element adds to a sum, where that is not simply the exact products."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from sw_ref.arith.matmul import exact_matmul, partial_sums
from sw_ref.wide import integer_type

__all__ = ["EXACT", "Exact", "Rule"]


class Rule(ABC):
    """How the products of a step are formed; a frozen dataclass, so that it can be part of a key."""

    @property
    def lsb(self) -> int:
        """Exponent of the unit of the sums, in the unit of exact products."""
        return 0

    @abstractmethod
    def matmul(self, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """What the steps of one group add up to.

        Parameters
        ----------
        act : int64 array (M, K)
        weight : int64 array (K, N)
            Integers that the codes stand for; the first step begins at k = 0.

        Returns
        -------
        integer array (M, N)
            Of `sw_ref.wide.integer_type` of what its sums might take.
        """

    @abstractmethod
    def dots(self, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """What single steps add: integers (steps,), of int64 ``act`` and ``weight`` (steps, lanes)."""


@dataclass(frozen=True)
class Exact(Rule):
    """``act @ weight``, no matter what a step is."""

    def matmul(self, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return exact_matmul(act, weight)

    def dots(self, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
        kind = integer_type(partial_sums(act, weight).signed_bits)
        return (act.astype(kind) * weight.astype(kind)).sum(axis=1)


EXACT = Exact()
