"""Checksums of matrix products: what stands beside the sums of a row, and what is made of a row that disagrees.

Huang and Abraham, "Algorithm-based fault tolerance for matrix operations", IEEE Transactions on Computers C-33 (1984);
with weights: Jou and Abraham, "Fault-tolerant matrix arithmetic and signal processing on highly concurrent computing
structures", Proceedings of the IEEE 74 (1986).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sw_ref.arith.matmul import exact_matmul
from sw_ref.wide import exactly, integer_array, wrapped

__all__ = ["CHECKSUMS", "Checksum", "Verdict", "check_bits", "check_factors", "check_sums", "checks_of", "verdict"]

Checksum = Literal["none", "detect", "correct"]
CHECKSUMS: tuple[Checksum, ...] = ("none", "detect", "correct")


def checks_of(checksum: Checksum) -> tuple[bool, ...]:
    """For each check column that ``checksum`` takes, whether it is weighted."""
    return {"none": (), "detect": (False,), "correct": (False, True)}[checksum]


def check_bits(bits: int, cols: int, checksum: Checksum) -> int:
    """Width of a check sum of ``cols`` sums of ``bits`` bits.

    To detect, ``bits``: one wrong sum changes the total modulo ``2**bits``. To correct, so many that ``j * d`` fits
    two's complement for every difference ``d`` of two sums and every column number ``j`` from 1 on, and so tells which
    column it is.
    """
    return bits if checksum == "detect" else bits + 1 + (cols - 1).bit_length()


def check_factors(cols: int, *, weighted: bool) -> np.ndarray:
    """What a check sum multiplies each column by, (cols,): 1, or from column 0 on 1, 2, 3, ... if ``weighted``.

    No factor is 0, so that a wrong sum always changes both.
    """
    return np.arange(1, cols + 1) if weighted else np.ones(cols, np.int64)


def check_sums(act: np.ndarray, weight: np.ndarray, *, bits: int, weighted: bool) -> np.ndarray:
    """``sum over k of act[m, k] * (sum over n of factor[n] * weight[k, n])``, modulo ``2**bits``.

    Parameters
    ----------
    act, weight : integer arrays (M, K) and (K, N)
        What the codes stand for, of all N columns of an array.
    bits : int
    weighted : bool
        See `check_factors`.

    Returns
    -------
    array (M,)
        Two's complement, of `sw_ref.wide.integer_type` of ``bits``.
    """
    columns = exact_matmul(weight, check_factors(weight.shape[1], weighted=weighted)[:, None])
    return wrapped(exact_matmul(act, columns)[:, 0], bits)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is made of rows of sums.

    Parameters
    ----------
    sums : integer array (M, N)
        As they are passed on.
    fault : bool array (M,)
        Sums and check sums of the row disagree.
    corrected : bool array (M,)
        They do, and yet the sums that are passed on are right if one sum or one check sum was wrong.
    """

    sums: np.ndarray
    fault: np.ndarray
    corrected: np.ndarray


def verdict(sums: np.ndarray, checks: np.ndarray, *, bits: int, width: int) -> Verdict:
    """Hold sums against their check sums, and correct what is wrong if there are two of them.

    With ``d = sum of factor[n] * sums[n] - check``, modulo ``2**width``, of the plain (``d1``) and the weighted check
    sum (``d2``):

    ==================================  ==============================================================================
    ``d1 == 0`` and ``d2 == 0``         no fault
    ``d1 != 0``, and no second check    fault: a sum or the check sum is wrong
    ``d2 == (j + 1) * d1``, ``d1 != 0`` fault, corrected: sum ``j`` is wrong, and ``sums[j] - d1`` is right
    one of them is 0                    fault, corrected: a check sum is wrong, and all sums are right
    all else                            fault: several are wrong, and stay as they are
    ==================================  ==============================================================================

    Two or more wrong sums of a row always show with two check sums if they are no more than two; but they may look like
    one wrong sum, which is then "corrected" to one more wrong sum.

    Parameters
    ----------
    sums : integer array (M, N)
        Two's complement of ``bits`` bits.
    checks : integer array (checks, M)
        One or two check sums, the weighted one last.
    bits : int
        Width of a sum.
    width : int
        Width of a check sum, see `check_bits`.
    """
    sums, checks = integer_array(sums), integer_array(checks)
    cols = sums.shape[1]
    residues = [
        wrapped(exactly(lambda total, check: total - check, _total(sums, weighted=bool(index)), check), width)
        for index, check in enumerate(checks)
    ]
    first = residues[0]
    if len(residues) == 1:
        fault = first != 0
        return Verdict(sums=sums, fault=fault, corrected=np.zeros_like(fault))
    second = residues[1]
    fault = (first != 0) | (second != 0)
    factors = check_factors(cols, weighted=True)
    fits = (first != 0)[:, None] & (exactly(lambda d, j: d * j, first[:, None], factors[None]) == second[:, None])
    one_check = fault & ((first == 0) | (second == 0))
    corrected = wrapped(exactly(lambda x, d: x - d, sums, first[:, None]), bits)
    return Verdict(
        sums=np.where(fits, corrected, sums),
        fault=fault,
        corrected=fits.any(axis=1) | one_check,
    )


def _total(sums: np.ndarray, *, weighted: bool) -> np.ndarray:
    """The sum of each row, each column multiplied by its factor."""
    columns, total = sums.T, np.zeros(len(sums), np.int64)
    for column, factor in zip(columns, check_factors(len(columns), weighted=weighted).tolist(), strict=True):
        total = exactly(lambda total, column, factor: total + column * factor, total, column, np.array(factor))
    return total
