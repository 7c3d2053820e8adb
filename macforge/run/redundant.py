"""Products of integers in nodes, of which some may be lost: programs, and what is made of their results."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from macforge.compile.compiler import compile_layer
from macforge.compile.operands import read_operand
from macforge.compile.program import Program
from macforge.run.executor import Engine, MatmulResult, run_program
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.bilinear import SCHEMES, Node, blocks_of, combined, product_of, recovery
from sw_ref.arith.rules import Exact
from sw_ref.fields import one_of

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["NodePrograms", "compile_nodes", "run_nodes"]


@dataclass(frozen=True, eq=False, kw_only=True)
class NodePrograms:
    """A layer of integers as the nodes of a scheme.

    Parameters
    ----------
    scheme : str
        See `sw_ref.arith.bilinear.SCHEMES`.
    programs : tuple of Program
        Of each node, of half the rows and columns.
    k, n : int
        Rows and columns of the weights.
    """

    scheme: str
    programs: tuple[Program, ...]
    k: int
    n: int

    @property
    def nodes(self) -> tuple[Node, ...]:
        """In the order of the programs."""
        return SCHEMES[self.scheme]


def compile_nodes(design: "Design", weight: ArrayLike, scheme: str = "strassen_winograd_parity") -> NodePrograms:
    """Prepare integer weights (K, N) for a design: a program for each node, of a sum of blocks of the weights.

    Nodes add up to four blocks, so that weights take up to two bits less than the design's format has.

    Raises
    ------
    ValueError
        If the weights are no integers, a sum of blocks is not in the design's format, or its sums are not exact.
    """
    one_of("Scheme", scheme, SCHEMES)
    _check(design)
    values = _integers(weight, what="weight", k_axis=0)
    blocks, programs = blocks_of(values), []
    for node in SCHEMES[scheme]:
        try:
            programs.append(compile_layer(design, combined(node.weight, blocks)))
        except ValueError as error:
            raise _of_node(node, error) from error
    return NodePrograms(scheme=scheme, programs=tuple(programs), k=values.shape[0], n=values.shape[1])


def run_nodes(
    layer: NodePrograms, act: ArrayLike, *, engine: Engine = "rtl", lost: Collection[str] = ()
) -> MatmulResult:
    """``C = act @ weight`` of integers, of the results of all nodes but those that are lost.

    Nodes run one after the other, and cycles are those of all that ran.

    Parameters
    ----------
    layer : NodePrograms
    act : integer array (M, K)
    engine : {"rtl", "ref"}
    lost : collection of str
        Names of nodes that do not run.

    Raises
    ------
    ValueError
        If the activations are no integers, or a sum of blocks of them is not in the design's format.
    LostError
        If the nodes that are left do not determine C; before anything runs.
    MismatchError
        If the hardware's results are not the model's.
    """
    for name in lost:
        one_of("Lost node", name, [node.name for node in layer.nodes])
    recovery(layer.nodes, lost)
    values = _integers(act, what="act", k_axis=1)
    if values.shape[1] != layer.k:
        raise ValueError(
            f"act (M, K) and weight (K, N) must share K, not have shapes {values.shape} and {layer.k, layer.n}"
        )
    blocks, found = blocks_of(values), dict[str, MatmulResult]()
    for node, program in zip(layer.nodes, layer.programs, strict=True):
        if node.name in lost:
            continue
        try:
            found[node.name] = run_program(program, combined(node.act, blocks), engine=engine)
        except ValueError as error:
            raise _of_node(node, error) from error
    product = product_of(layer.nodes, {name: result.product for name, result in found.items()})
    return MatmulResult(
        product=product[: len(values), : layer.n],
        cycles=None if engine == "ref" else sum(result.cycles or 0 for result in found.values()),
        predicted_cycles=sum(result.predicted_cycles for result in found.values()),
    )


def _of_node(node: Node, error: ValueError) -> ValueError:
    return ValueError(f"Node {node.name}, {node.formula}: {error}")


def _check(design: "Design") -> None:
    """Raise ValueError if sums of products of sums are not exact."""
    target = design.target
    if target.edge:
        raise ValueError(f"Scheme must be left out for {target.name}, whose drain edge makes no sums of integers")
    if not isinstance(target.sums, Accumulator) or target.sums.overflow != "refuse":
        raise ValueError(f"Scheme must be left out for {target.name}, whose sums are not exact but {target.sums.name}")
    if not isinstance(target.engine.rule, Exact):
        raise ValueError(f"Scheme must be left out for {target.name}, whose products are rounded")


def _integers(x: ArrayLike, *, what: str, k_axis: int) -> np.ndarray:
    operand = read_operand(x, what=what, k_axis=k_axis)
    if not operand.integral:
        raise ValueError(f"{what} must be of integers for a scheme of nodes, not {np.asarray(x).dtype}")
    return operand.values
