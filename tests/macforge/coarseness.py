"""How far a design's quantizers may be from what they are given: bounds that follow from its formats."""

from dataclasses import replace

import numpy as np

from sw_ref.formats.minifloat import Float

# Largest error of an element, over the largest magnitude that shares its scale: of the values themselves, and what a
# rounded scale of few bits adds.
_BLOCKS = {
    "mxfp4": 1 / 4,
    "mxfp6_e2m3": 1 / 16,
    "mxfp6_e3m2": 1 / 8,
    "mxfp8_e4m3": 1 / 8,
    "mxint8": 1 / 128,
    "nvfp4": 1 / 6 + 1 / 16,
    "nvfp4_ue5m3": 1 / 6 + 1 / 16,
}
_BITMOD = {3: 1 / 4 + 1 / 64, 4: 1 / 6 + 1 / 64}


def coarseness(design, side):
    """The largest error of an element of an operand, over the largest magnitude of its row or column.

    With a search for better scales that is the root of the mean square of errors.
    """
    choice, form = getattr(design.quantizer, side), getattr(design.pe, side)
    if choice.method == "block":
        return _BLOCKS[choice.block]
    if choice.method == "bcq":
        # scales that are sums of powers leave (2**0.5 - 1)**powers of themselves
        return 1 / (2**choice.planes - 1) + (choice.powers and 0.42**choice.powers)
    if choice.method == "progressive":
        return 1 / 238 + 17 / 119
    if choice.method == "affine":
        # half a step, and what FP16 takes of the scale and the offset
        return 1 / (2**form.bits - 1) + 2.0**-9
    if choice.method == "dequantized":
        return _uniform(design.weight_quantizer) + 2.0 ** -(form.fraction + 1)
    if choice.method == "bitmod":
        return _BITMOD[form.code_bits]
    return _uniform(getattr(design, f"{side}_quantizer")) + (design.options.get("table_bits", 0) and 1 / 16)


def _uniform(quantizer):
    form = quantizer.format
    if quantizer.scheme == "absmean":
        return 1.0
    if quantizer.scheme == "asymmetric":
        return 2 / (2**form.bits - 1)
    if quantizer.scheme == "cast" and isinstance(form, Float):
        return 2.0 ** -(form.fraction + 1)
    if quantizer.power_of_two:
        # the scale may be twice what it has to be
        return 2 * _uniform(replace(quantizer, power_of_two=False))
    values = np.unique(form.decode(np.arange(1 << form.bits)))
    full = min(form.full_scale, -values[0])
    inside = values[np.abs(values) <= full]
    return np.diff(inside).max() / 2 / full


def rounding(design):
    """What keeping sums and scales in floats of few bits adds, of the norms of both operands."""
    if design.accumulator.kind != "exact":
        # BF16, or 13 bits of each term, truncated
        return 2.0**-6
    return 2.0**-9
