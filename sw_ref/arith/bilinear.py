"""Products of 2 x 2 blocks out of products of sums of blocks: few, or so many that some may be lost.

``C = A B`` with ``A = [[a11, a12], [a21, a22]]`` takes eight products of blocks. Strassen (Numerische Mathematik 13,
1969) and Winograd (Linear Algebra and its Applications 4, 1971) take seven, each of a sum of blocks of A and a sum of
blocks of B: here a node. The nodes of two such schemes, with two more, stand in for each other: fault-tolerant
Strassen-like products, arXiv 2210.04441, whose two more nodes these need not be.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sw_ref.wide import exactly, integer_array

__all__ = ["SCHEMES", "LostError", "Node", "blocks_of", "checks", "combined", "product_of", "recovery", "wrong_node"]

_BLOCKS = ("11", "12", "21", "22")


class LostError(ValueError):
    """The nodes that are left do not determine the product."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A product of two sums of blocks.

    Parameters
    ----------
    name : str
    act, weight : tuple of int
        What the blocks 11, 12, 21, 22 of each side are multiplied by.
    """

    name: str
    act: tuple[int, ...]
    weight: tuple[int, ...]

    @property
    def terms(self) -> np.ndarray:
        """Coefficients (16,) of the products of a block of A, which counts slower, and one of B."""
        return np.outer(self.act, self.weight).ravel()

    @property
    def formula(self) -> str:
        """``(a11 + a22) (b11 + b22)``."""
        return f"({_sum('a', self.act)}) ({_sum('b', self.weight)})"


def _sum(side: str, factors: Sequence[int]) -> str:
    signed = (
        (f"{'-' if factor < 0 else '+'} {side}{block}", factor) for block, factor in zip(_BLOCKS, factors, strict=True)
    )
    terms = [term for term, factor in signed if factor]
    return " ".join(terms).removeprefix("+ ")


def _nodes(letter: str, *factors: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[Node, ...]:
    return tuple(Node(name=f"{letter}{at}", act=act, weight=weight) for at, (act, weight) in enumerate(factors, 1))


_STRASSEN = _nodes(
    "M",
    ((1, 0, 0, 1), (1, 0, 0, 1)),
    ((0, 0, 1, 1), (1, 0, 0, 0)),
    ((1, 0, 0, 0), (0, 1, 0, -1)),
    ((0, 0, 0, 1), (-1, 0, 1, 0)),
    ((1, 1, 0, 0), (0, 0, 0, 1)),
    ((-1, 0, 1, 0), (1, 1, 0, 0)),
    ((0, 1, 0, -1), (0, 0, 1, 1)),
)
_WINOGRAD = _nodes(
    "P",
    ((1, 0, 0, 0), (1, 0, 0, 0)),
    ((0, 1, 0, 0), (0, 0, 1, 0)),
    ((1, 1, -1, -1), (0, 0, 0, 1)),
    ((0, 0, 0, 1), (1, -1, -1, 1)),
    ((0, 0, 1, 1), (-1, 1, 0, 0)),
    ((-1, 0, 1, 1), (1, -1, 0, 1)),
    ((1, 0, -1, 0), (0, -1, 0, 1)),
)
# One that both schemes lack, and one that nothing else stands in for twice.
_PARITY = (
    Node(name="S1", act=(0, 0, 1, -1), weight=(0, 1, 0, -1)),
    Node(name="S2", act=_STRASSEN[6].act, weight=_STRASSEN[6].weight),
)

SCHEMES: Mapping[str, tuple[Node, ...]] = {
    "strassen": _STRASSEN,
    "winograd": _WINOGRAD,
    "strassen_winograd": _STRASSEN + _WINOGRAD,
    "strassen_winograd_parity": _STRASSEN + _WINOGRAD + _PARITY,
}
"""Nodes of each: 7, 7, 14, any one of which may be lost, and 16, any two of which may be."""


def blocks_of(x: np.ndarray) -> tuple[np.ndarray, ...]:
    """The four blocks of a matrix, with zeros below and to the right where a side is odd."""
    rows, columns = (-(-size // 2) for size in x.shape)
    padded = np.pad(x, [(0, 2 * rows - x.shape[0]), (0, 2 * columns - x.shape[1])])
    return tuple(padded[i : i + rows, j : j + columns] for i in (0, rows) for j in (0, columns))


def combined(factors: Sequence[int | Fraction], matrices: Sequence[np.ndarray]) -> np.ndarray:
    """The exact sum of integer matrices, each times its factor; all but those with factor 0 are taken.

    Raises
    ------
    LostError
        If it is not integer, which sums of products of integers are: some matrix is not what it should be.
    """
    taken = [(Fraction(factor), matrix) for factor, matrix in zip(factors, matrices, strict=True) if factor]
    divisor = math.lcm(*(factor.denominator for factor, _matrix in taken))
    total = np.zeros_like(integer_array(matrices[0]))
    for factor, matrix in taken:
        times = np.array(int(factor * divisor))
        total = exactly(lambda total, matrix, times: total + matrix * times, total, integer_array(matrix), times)
    if divisor > 1 and (total % divisor).any():
        raise LostError("Results of nodes disagree: they do not make integers")
    return total // divisor


def recovery(nodes: Sequence[Node], lost: Collection[str] = ()) -> list[list[Fraction]]:
    """For each block of C, what the results of all nodes are multiplied by; 0 for those that are lost.

    Raises
    ------
    LostError
        If the nodes that are left do not determine C.
    """
    alive = [index for index, node in enumerate(nodes) if node.name not in lost]
    found = []
    for i, j in np.ndindex(2, 2):
        # c_ij = a_i1 b_1j + a_i2 b_2j
        wanted = [int(m == i and k == k2 and n == j) for m, k, k2, n in np.ndindex(2, 2, 2, 2)]
        factors = _solved([nodes[index].terms.tolist() for index in alive], wanted)
        if factors is None:
            raise LostError(
                f"Without {', '.join(sorted(lost))}, block {i + 1}{j + 1} of the product is not to be had of the "
                f"{len(alive)} nodes that are left"
            )
        spread = [Fraction(0)] * len(nodes)
        for index, factor in zip(alive, factors, strict=True):
            spread[index] = factor
        found.append(spread)
    return found


def checks(nodes: Sequence[Node], lost: Collection[str] = ()) -> list[list[Fraction]]:
    """Factors of all nodes with which results that are right sum to 0: as many as there are nodes too many."""
    found, before = [], list[int]()
    for index, node in enumerate(nodes):
        if node.name in lost:
            continue
        factors = _solved([nodes[each].terms.tolist() for each in before], node.terms.tolist())
        if factors is None:
            before.append(index)
            continue
        check = [Fraction(0)] * len(nodes)
        check[index] = Fraction(-1)
        for each, factor in zip(before, factors, strict=True):
            check[each] = factor
        found.append(check)
    return found


def product_of(nodes: Sequence[Node], results: Mapping[str, np.ndarray]) -> np.ndarray:
    """C of the results of nodes by name, of those that are there: two block rows of two block columns.

    Raises
    ------
    LostError
        If they do not determine C, or cannot all be right.
    """
    lost = [node.name for node in nodes if node.name not in results]
    factors = recovery(nodes, lost)
    if _disagree(nodes, results):
        raise LostError("Results of nodes disagree: at least one is wrong")
    given = _in_order(nodes, results)
    return np.block([[combined(factors[2 * i + j], given) for j in (0, 1)] for i in (0, 1)])


def wrong_node(nodes: Sequence[Node], results: Mapping[str, np.ndarray]) -> str | None:
    """The name of the only node without which all other results agree; None if they do with it.

    Raises
    ------
    LostError
        If there is no such node, or more than one.
    """
    if not _disagree(nodes, results):
        return None
    rest = {name: {each: one for each, one in results.items() if each != name} for name in results}
    found = [name for name in results if not _disagree(nodes, rest[name])]
    if len(found) != 1:
        raise LostError(f"Results of nodes disagree: {' or '.join(found) or 'more than one'} is wrong")
    return found[0]


def _disagree(nodes: Sequence[Node], results: Mapping[str, np.ndarray]) -> bool:
    given = _in_order(nodes, results)
    for check in checks(nodes, [node.name for node in nodes if node.name not in results]):
        whole = math.lcm(*(factor.denominator for factor in check))
        if combined([factor * whole for factor in check], given).any():
            return True
    return False


def _in_order(nodes: Sequence[Node], results: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The result of each node; any for those that are lost, whose factors are 0."""
    some = next(iter(results.values()), np.zeros((1, 1), np.int64))
    return [results.get(node.name, some) for node in nodes]


def _solved(columns: Sequence[Sequence[int]], wanted: Sequence[int]) -> list[Fraction] | None:
    """Factors with which the columns sum to what is wanted, 0 for those that are not needed; None if there are none."""
    rows = [[Fraction(x) for x in row] for row in zip(*columns, wanted, strict=True)]
    pivots = list[int]()
    for column in range(len(columns)):
        at = next((row for row in range(len(pivots), len(rows)) if rows[row][column]), None)
        if at is None:
            continue
        top = len(pivots)
        rows[top], rows[at] = rows[at], rows[top]
        rows[top] = [x / rows[top][column] for x in rows[top]]
        for row in range(len(rows)):
            if row != top and (factor := rows[row][column]):
                rows[row] = [x - factor * y for x, y in zip(rows[row], rows[top], strict=True)]
        pivots.append(column)
    if any(row[-1] for row in rows[len(pivots) :]):
        return None
    factors = [Fraction(0)] * len(columns)
    for row, column in enumerate(pivots):
        factors[column] = rows[row][-1]
    return factors
