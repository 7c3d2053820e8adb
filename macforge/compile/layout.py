"""How K is laid out for an engine: in groups, and in digits where operands have more bits than a cell takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sw_ref.arith.digits import plane_weights, planes, split
from sw_ref.formats.base import Format

__all__ = ["Digit", "Segment", "digit_codes", "digits_of", "segments_of"]


@dataclass(frozen=True, kw_only=True)
class Digit:
    """One digit of an operand: it adds ``weight * (value - offset)``; ``first`` is the lowest."""

    weight: int
    offset: int = 0
    first: bool = True

    def zero_with(self, zero: np.ndarray) -> np.ndarray:
        """Zero points of the digit, where ``zero`` are those of the whole: the lowest digit weighs 1, or -1."""
        return (zero * self.weight if self.first else np.zeros_like(zero)) + self.offset


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A run of K whose products make one sum: a group of activations, or one digit of it.

    Parameters
    ----------
    group : int
        The group's number.
    start, stop : int
        Which K.
    index : int
        Which digit of the group's, the lowest first.
    digit : Digit
    plane : int
        Which digit of the group's weights, where they come in digits along K, the lowest first.
    weight : Digit
        Of weights.
    """

    group: int
    start: int
    stop: int
    index: int
    digit: Digit
    plane: int = 0
    weight: Digit = field(default_factory=lambda: Digit(weight=1))

    @property
    def size(self) -> int:
        """Products along K."""
        return self.stop - self.start


def digits_of(given: Format, taken: Format, side: str) -> tuple[Digit, ...]:
    """The digits that operands of a format come in where a processing element takes another, the lowest first.

    Raises
    ------
    ValueError
        If digits of the one are not of the other.
    """
    if given == taken:
        return (Digit(weight=1),)
    if taken.bits == 1:
        return tuple(Digit(weight=weight, first=i == 0) for i, weight in enumerate(plane_weights(given)))
    digits = split(np.zeros(0, np.uint32), given, digit_bits=taken.bits)
    if digits[0].format != taken:
        raise ValueError(f"Digits of {side} {given.name} are {digits[0].format.name}, not {taken.name}")
    return tuple(Digit(weight=one.weight, offset=one.zero_point, first=i == 0) for i, one in enumerate(digits))


def digit_codes(codes: np.ndarray, given: Format, taken: Format) -> Sequence[np.ndarray]:
    """Codes of each of `digits_of`."""
    if given == taken:
        return (codes,)
    if taken.bits == 1:
        return list(planes(codes, given.bits))
    return [digit.codes for digit in split(codes, given, digit_bits=taken.bits)]


def segments_of(
    groups: Sequence[slice],
    digits: Sequence[Sequence[Digit]],
    weights: Sequence[Sequence[Digit]] | None = None,
) -> tuple[Segment, ...]:
    """All segments of K in groups, of which each has its digits, and each of these its digits of weights.

    Raises
    ------
    ValueError
        If a group shorter than the first is not the last segment.
    """
    weights = weights or [[Digit(weight=1)]] * len(groups)
    segments = tuple(
        Segment(group=index, start=k.start, stop=k.stop, index=place, digit=digit, plane=plane, weight=weight)
        for index, (k, several, planes_) in enumerate(zip(groups, digits, weights, strict=True))
        for place, digit in enumerate(several)
        for plane, weight in enumerate(planes_)
    )
    group, depth = groups[0].stop, groups[-1].stop
    if any(segment.size < group for segment in segments[:-1]):
        raise ValueError(f"K must be a multiple of the group size ({group}) where a group comes in digits, not {depth}")
    return segments
