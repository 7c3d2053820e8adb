"""Products by tables of rounded sums."""

from dataclasses import dataclass

import numpy as np

from sw_ref.arith.rules import Rule

__all__ = ["RoundedTable"]


@dataclass(frozen=True, kw_only=True)
class RoundedTable(Rule):
    """Weights are planes of signs, and what the signs of ``k`` neighbours make of their activations is rounded.

        step = sum over tables t and planes p of 2**p * rounded(sum over i of sign_p(weight[t*k + i]) * act[t*k + i])
        rounded(x) = clip(round_half_even(x / 2**shift), -(2**(bits-1) - 1), 2**(bits-1) - 1)

    with ``weight = sum over p of 2**p * sign_p(weight)``, so that ``rounded(-x) = -rounded(x)``. T-MAC
    (arXiv 2407.00088) rounds its tables so too, by a scale of its own for each group of activations; this one's is
    always ``2**shift``.

    Parameters
    ----------
    k : int
        Activations of a table.
    planes : int
        Signs of a weight: weights are odd integers, of format bipolar<planes>.
    shift : int
        Low bits of an entry that are rounded off.
    bits : int
        Width of an entry.
    """

    k: int
    planes: int
    shift: int
    bits: int

    @property
    def lsb(self) -> int:
        """Sums are in units of ``2**shift``."""
        return self.shift

    def rounded(self, sums: np.ndarray) -> np.ndarray:
        """Entries, as int64, of exact sums."""
        largest = (1 << self.bits - 1) - 1
        return np.clip(np.rint(np.ldexp(np.asarray(sums, np.float64), -self.shift)), -largest, largest).astype(np.int64)

    def matmul(self, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
        # activations beyond the last are 0, whatever their weights
        missing = -len(weight) % self.k
        act, weight = np.pad(act, ((0, 0), (0, missing))), np.pad(weight, ((0, missing), (0, 0)))
        sums = np.zeros((len(act), weight.shape[1]), np.int64)
        for plane, signs in enumerate(self._signs(weight)):
            for start in range(0, len(weight), self.k):
                table = slice(start, start + self.k)
                sums += self.rounded(act[:, table] @ signs[table]) << plane
        return sums

    def dots(self, act: np.ndarray, weight: np.ndarray) -> np.ndarray:
        tables = (len(act), -1, self.k)
        sums = np.zeros(len(act), np.int64)
        for plane, signs in enumerate(self._signs(weight)):
            sums += self.rounded((act * signs).reshape(tables).sum(axis=2)).sum(axis=1) << plane
        return sums

    def _signs(self, weight: np.ndarray) -> list[np.ndarray]:
        """The signs of each plane, lowest first, as -1 and 1."""
        codes = (weight + (1 << self.planes) - 1) >> 1
        return [2 * (codes >> plane & 1) - 1 for plane in range(self.planes)]
