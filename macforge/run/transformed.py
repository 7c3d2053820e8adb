"""Layers in another form, for a design."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from macforge.compile.compiler import compile_layer
from macforge.compile.program import Program
from macforge.compile.weights import block_quantizer
from macforge.design.target import Target
from macforge.run.executor import Engine, run_program
from sw_ref.arith.float_codes import round_to, value_of
from sw_ref.drain.steps.scale import Scale
from sw_ref.formats.minifloat import Float
from sw_ref.quantize.stored import Stored
from sw_ref.transform.base import Transform, Transformed
from sw_ref.transform.channels import cross_quant, outlier_scale, pre_shift, smooth_quant
from sw_ref.transform.gptq import gptq
from sw_ref.transform.hadamard import rotate
from sw_ref.transform.low_rank import low_rank
from sw_ref.transform.split import split_weights

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["TRANSFORMS", "TransformedLayer", "compile_transformed", "find_transform"]

TRANSFORMS: dict[str, Callable[[Target], Transform]] = {
    "smooth_quant": lambda target: smooth_quant,
    "outlier_scale": lambda target: outlier_scale,
    "cross_quant": lambda target: cross_quant,
    "pre_shift": lambda target: pre_shift,
    "rotate": lambda target: rotate,
    "rotate_groups": lambda target: partial(rotate, block=target.group_size),
    "split_weights": lambda target: split_weights,
    "low_rank": lambda target: partial(low_rank, reals=partial(_reals, target)),
    "gptq": lambda target: partial(gptq, quantizer=target.weight_quantizer, rounded=partial(_scales, target)),
}
"""What may be done with a layer in front of a design's quantizers, by name. A new one is a function and an entry."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TransformedLayer:
    """A layer in another form, and a program for each of its weights."""

    form: Transformed
    programs: tuple[Program, ...]

    def product(self, act: np.ndarray, *, engine: Engine = "ref") -> np.ndarray:
        """``act @ weight`` (M, N) in float32, as the design computes it; what stays float is computed in NumPy."""
        given = self.form.before(act)
        products = [run_program(program, given, engine=engine).product for program in self.programs]
        return self.form.joined(products, act)


def find_transform(name: str, target: Target) -> Transform:
    """The transform of this name for a design, or several, joined by ``+``, one after the other; empty for none.

    Raises
    ------
    ValueError
        If there is none.
    """
    steps = []
    for part in name.split("+") if name else ():
        if part not in TRANSFORMS:
            raise ValueError(f"Transform must be one of {', '.join(TRANSFORMS)}, or several joined by +, not {part!r}")
        steps.append(TRANSFORMS[part](target))
    return partial(_one_after_the_other, steps)


def compile_transformed(
    design: "Design",
    weight: ArrayLike,
    calibration: ArrayLike,
    transform: Transform,
    *,
    wide: ArrayLike | None = None,
) -> TransformedLayer:
    """A layer's weight, transformed and compiled for a design.

    Parameters
    ----------
    design : macforge.design.design.Design
    weight : array (K, N)
    calibration : array (M, K)
        Activations of the kind that will come.
    transform : Transform
        As `find_transform` gives it.
    wide : bool array (N,), optional
        Columns that get more bits, see `macforge.compile.compiler.compile_layer`.

    Raises
    ------
    ValueError
        As `macforge.compile.compiler.compile_layer`, or if the transform does not fit the layer.
    """
    act = np.asarray(calibration, np.float32)
    form = transform(np.asarray(weight, np.float32), act)
    given = form.before(act)
    return TransformedLayer(
        form=form, programs=tuple(compile_layer(design, each, calibration=given, wide=wide) for each in form.weights)
    )


def _one_after_the_other(steps: list[Transform], weight: np.ndarray, act: np.ndarray) -> Transformed:
    form = Transformed(weights=(weight,))
    for step in steps:
        first = form.weights[0]
        if len(form.weights) > 1 or form.side or isinstance(first, Stored):
            raise ValueError("Transforms that split or quantize a weight must come last")
        following = step(first, form.before(act))
        side = following.side and (_turned_back(form, following.side[0], len(weight)), following.side[1])
        form = Transformed(weights=following.weights, before=_composed(form.before, following.before), side=side)
    return form


def _turned_back(form: Transformed, left: np.ndarray, depth: int) -> np.ndarray:
    """``form.before(act) @ left`` as a factor of ``act``: transforms in front of it are linear."""
    return form.before(np.eye(depth, dtype=np.float32)) @ left


def _composed(
    first: Callable[[np.ndarray], np.ndarray], second: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    return lambda act: second(first(act))


def _reals(target: Target, weight: np.ndarray) -> np.ndarray:
    """What the design's quantizer makes of a weight."""
    method = target.quantizer.weight.method
    if method not in ("uniform", "block"):
        raise ValueError(f"Quantizer weight.method must be uniform or block for low_rank, not {method}")
    quantizer = block_quantizer(target, "weight") if method == "block" else target.weight_quantizer
    return quantizer.quantize(weight, k_axis=0, what="weight").reals()


def _scales(target: Target, scale: np.ndarray) -> np.ndarray:
    """Scales of groups as the drain edge takes them."""
    step = target.edge.find(Scale) if target.edge else None
    if step is None or not isinstance(step.scale, Float):
        return scale
    return value_of(step.scale, round_to(step.scale, scale))
