"""Programs of stored layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from macforge.compile.compiler import compile_layer
from macforge.compile.program import Program
from macforge.model.fit import fit
from macforge.model.layer import StoredLayer

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["compile_for_first", "compile_stored_layer"]


def compile_stored_layer(
    design: "Design",
    layer: StoredLayer,
    *,
    calibration: ArrayLike | None = None,
    requantize: bool = False,
    wide: ArrayLike | None = None,
) -> tuple[Program, str | None]:
    """A layer compiled for a design, as it is stored; and if it was quantized again, why.

    Scales and zero points of activations and results that the file knows take the place of a calibration.

    Parameters
    ----------
    design : macforge.design.design.Design
    layer : StoredLayer
    calibration : array (M, K), optional
    requantize : bool
        Whether a weight that the design does not take is quantized again, from its real numbers.
    wide : bool array (N,), optional
        Columns that get more bits, see `macforge.compile.compiler.compile_layer`; the layer is then quantized again.

    Raises
    ------
    ValueError
        If the design does not take the layer, and ``requantize`` is false; or as
        `macforge.compile.compiler.compile_layer`.
    """
    reason = fit(design.target, layer) if wide is None else "gives chosen columns more bits"
    if reason is None:
        static = result = None
        if layer.act is not None and layer.act.is_static:
            static = layer.act.static
        if layer.result is not None:
            result = layer.result.scale, layer.result.zero_point
        weight = layer.stored()
        return compile_layer(design, weight, layer.bias, calibration, static=static, result=result), None
    if not requantize:
        raise ValueError(f"Layer {layer.name} must be one that {design.name} takes as it is stored, but it {reason}")
    return compile_layer(design, layer.dequantized(), layer.bias, calibration, wide=wide), reason


def compile_for_first(designs: "Sequence[Design]", layer: StoredLayer) -> "tuple[Design, Program]":
    """The first design that takes a layer as it is stored, and the layer compiled for it.

    Raises
    ------
    ValueError
        If none does; says why, of each.
    """
    reasons = []
    for design in designs:
        try:
            return design, compile_stored_layer(design, layer)[0]
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError("; ".join(reasons))
