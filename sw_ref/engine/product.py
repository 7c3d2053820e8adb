"""A product as an engine is given it: codes, and what its drain edge takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sw_ref.arith.matmul import exact_matmul
from sw_ref.drain.edge import drain
from sw_ref.engine.schedule import Schedule, schedule_of
from sw_ref.engine.spec import EngineSpec
from sw_ref.engine.sums import model_sums
from sw_ref.formats.base import Format
from sw_ref.formats.nonfinite import nonfinite_results, zeroed
from sw_ref.groups import group_slices
from sw_ref.wide import wrapped

__all__ = ["Product", "expected_invalid", "expected_results"]


@dataclass(frozen=True, kw_only=True)
class Product:
    """One product.

    Parameters
    ----------
    act, weight : ndarray
        Codes (M, K), and (K, N) or (passes, K, N).
    group : int
        Products along K that make a sum; 0 for what the engine's tiling says.
    mode : int
        Which of the processing element's modes.
    parameters : mapping
        What the drain edge takes, see `sw_ref.drain.edge.drain`.
    stalls : float
        Probability, in each cycle and on each stream, of nobody being ready there.
    abandon_after : int, optional
        Reset the engine this many cycles into the product, and go on with the next.
    """

    act: np.ndarray
    weight: np.ndarray
    group: int = 0
    mode: int = 0
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    stalls: float = 0.0
    abandon_after: int | None = None

    @property
    def planes(self) -> np.ndarray:
        """Weights (passes, K, N)."""
        return self.weight if self.weight.ndim == 3 else self.weight[None]

    def under(self, stalls: float) -> "Product":
        """The same product under so many stalls."""
        return replace(self, stalls=stalls)

    def schedule(self, engine: EngineSpec) -> Schedule:
        """What an engine does for it."""
        passes, k, n = self.planes.shape
        return schedule_of(engine, m=len(self.act), n=n, k=k, group=self.group, passes=passes, mode=self.mode)


def expected_results(engine: EngineSpec, product: Product) -> np.ndarray:
    """What the model says of one product of codes: integers (results, M, N), as `Simulation` has them."""
    mode = engine.modes[product.mode]
    group = product.schedule(engine).group
    slots = engine.lanes // mode.lanes
    how = {"rule": engine.rule, "lowest": engine.lowest, "group_size": group, "step": engine.span // slots}
    sums = np.concatenate([model_sums(mode, engine.sums, product.act, plane, **how) for plane in product.planes])
    if not engine.drain:
        return wrapped(sums, engine.result_bits)
    row_sums = _row_sums(mode.act, zeroed(mode.act, product.act), group) if engine.row_sums else []
    results = drain(sums, np.array(row_sums * len(product.planes)), product.parameters, engine.drain)[None]
    if engine.invalid and engine.drain.floating:
        results = np.where(expected_invalid(engine, product), engine.drain.nan, results)
    # codes of floats are read as two's complement, as all results are
    return wrapped(results, engine.result_bits)


def _row_sums(act: Format, codes: np.ndarray, group: int) -> list[np.ndarray]:
    """Of each group, the sum of each row's activations."""
    integers = act.to_fixed(codes)
    groups = group_slices(codes.shape[1], group)
    return [exact_matmul(integers[:, k], np.ones((k.stop - k.start, 1), int))[:, 0] for k in groups]


def expected_invalid(engine: EngineSpec, product: Product) -> np.ndarray:
    """Which results have an operand that is infinite or NaN: bool (results, M, N)."""
    mode = engine.modes[product.mode]
    act, planes = mode.act.finite(product.act), mode.weight.finite(product.planes)
    groups = group_slices(act.shape[1], product.schedule(engine).group)
    sums = np.stack([nonfinite_results(act[:, k], plane[k]) for plane in planes for k in groups])
    return np.logical_or.reduce(sums, axis=0, keepdims=True) if engine.drain else sums
