"""Which designs take a stored layer as it is, and why the others do not."""

from collections.abc import Iterator, Mapping
from functools import partial

from macforge.compile.stored import lowering, taken_act
from macforge.design.named import design_names, named_table
from macforge.design.target import Target, plain_target, target_of
from macforge.model.layer import StoredLayer, StoredResult
from macforge.provenance import cached_description
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.quantize.stored import Factors

__all__ = ["fit", "fits", "named_targets"]

# Of a significand.
_FLOAT32_BITS = 24


def fit(target: Target, layer: StoredLayer, factors: Factors | None = None) -> str | None:
    """Why a design does not take a layer exactly as it is stored, in a few words; None if it does.

    Parameters
    ----------
    target : Target
    layer : StoredLayer
    factors : Factors, optional
        The layer's, if they have been read.
    """
    try:
        found = lowering(
            target,
            layer.format,
            layer.factors() if factors is None else factors,
            k=layer.k,
            group_size=layer.group_size,
            ordered=layer.order is not None,
        )
        if found.reading.lacking is not None:
            found.reading.codes(layer.read_codes())
        if layer.act is not None and layer.act.is_static:
            taken_act(target, layer.act.static)
    except ValueError as error:
        return str(error)
    if layer.bias is not None and not (target.edge and target.edge.adds_bias):
        return "adds no bias"
    to = target.edge.find(Requantize) if target.edge else None
    return None if to is None or layer.result is None else _results_differ(to, layer.result)


def _results_differ(to: Requantize, result: StoredResult) -> str | None:
    """Why requantized results are not those of the file, whose ratio is a float32."""
    if to.form != result.format:
        return f"requantizes results to {to.form.name}, not {result.format.name}"
    if result.zero_point and not to.out_zero:
        return f"gives results no zero point such as {result.zero_point}"
    if to.rounding != "half_even":
        return f"rounds results by {to.rounding}, not half_even"
    if to.multiplier_bits < _FLOAT32_BITS:
        return f"requantizes with {to.multiplier_bits} bits, not {_FLOAT32_BITS} or more"
    return None


def fits(targets: Mapping[str, Target], layer: StoredLayer) -> dict[str, str | None]:
    """`fit` of several designs, by their names."""
    factors = layer.factors()
    return {name: fit(target, layer, factors) for name, target in targets.items()}


def named_targets() -> dict[str, Target]:
    """All named designs, as compilers see them; computed once, and kept."""
    return dict(_targets())


def _targets() -> Iterator[tuple[str, Target]]:
    for name in design_names():
        table = named_table(name)
        plain = cached_description("target", name, table, compute=partial(_plain, name, table))
        yield name, target_of(plain)


def _plain(name: str, table: dict[str, object]) -> dict[str, object]:
    from macforge.design.design import design_of

    return plain_target(design_of(name, table).target)
