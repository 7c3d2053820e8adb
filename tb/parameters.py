"""Random parameters of drain edges."""

import numpy as np

from dataflow.engine.base import Engine
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.formats.minifloat import Float
from sw_ref.formats.signs import PowerOfTwo

__all__ = ["random_parameters"]


def random_parameters(
    engine: Engine, random: np.random.Generator, *, sums: int, m: int, n: int, any_code: float = 0.0
) -> dict[str, np.ndarray]:
    """Codes of all parameters of an engine, of sizes that do not overflow; floats of all signs.

    Parameters
    ----------
    engine : Engine
        With a drain edge.
    random : Generator
    sums : int
        Of an element of C.
    m, n : int
        Sizes of C.
    any_code : float
        Probability of a float to be of any code, so that results may overflow, vanish, or be no number.
    """
    assert engine.drain is not None
    requantize = engine.drain.find(Requantize)
    least = 31 if requantize and requantize.rounding == "gemmlowp" else 0
    shapes = {"column": (sums, n), "row": (sums, m), "output": (n,)}
    found = {}
    for parameter in engine.drain.parameters:
        name, kind, form = parameter.name, parameter.kind, parameter.form
        if isinstance(form, Float):
            reals = random.normal(size=shapes[kind]) * 2.0 ** random.integers(-12, 3, shapes[kind])
            codes = random.integers(0, 1 << form.bits, shapes[kind])
            found[name] = np.where(random.random(shapes[kind]) < any_code, codes, form.encode(reals))
        elif isinstance(form, PowerOfTwo):
            found[name] = random.integers(0, 1 << form.bits, (parameter.terms, *shapes[kind]))
        else:
            shape = engine.parameter_shapes[kind][name]
            low, high = (-(1 << shape.width - 1), 1 << shape.width - 1) if shape.signed else (0, 1 << shape.width)
            bottom = least if name == "shift" else -(1 << 31)
            most = {"column_sum": 200, "bias": 1 << 20, "shift": least + 40}.get(name, 1 << 31)
            found[name] = random.integers(max(low, -most, bottom), min(high, most), shapes[kind])
    return found
