"""Weights that somebody else has quantized, as a file holds them; and the same weights in codes of another format."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import Format, Int
from sw_ref.formats.minifloat import Float
from sw_ref.formats.signs import Bipolar
from sw_ref.groups import group_of, group_slices
from sw_ref.quantize.uniform import Quantized

__all__ = ["Factors", "Reading", "Stored", "quantize_with", "readings", "reread"]

# Widest codes of which all are looked at.
_MOST_BITS = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class Factors:
    """What makes weights of the values of codes: ``((value - zero_point) * scale + offset) * channel``.

    Parameters
    ----------
    scale : float64 array (G, N)
        Of either sign; 0 where all of a group is 0.
    zero_point : int64 array (G, N)
    offset : float64 array (G, N)
    channel : float64 array (N,)
        A factor of a whole column, such as the scale of a tensor.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    offset: np.ndarray
    channel: np.ndarray

    @classmethod
    def of(
        cls,
        scale: np.ndarray,
        *,
        zero_point: np.ndarray | None = None,
        offset: np.ndarray | None = None,
        channel: np.ndarray | None = None,
    ) -> "Factors":
        """Factors with these arrays, which broadcast to those of ``scale``; nothing in place of what is left out."""
        shape = scale.shape
        zero = 0 if zero_point is None else zero_point
        return cls(
            scale=scale.astype(np.float64),
            zero_point=np.broadcast_to(np.asarray(zero, np.int64), shape),
            offset=np.broadcast_to(np.asarray(0 if offset is None else offset, np.float64), shape),
            channel=np.broadcast_to(np.asarray(1 if channel is None else channel, np.float64), shape[1:]),
        )

    @classmethod
    def joined(cls, several: "Sequence[Factors]") -> "Factors":
        """Those of columns side by side."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(each, name) for each in several], axis=-1) for name in names})

    def columns(self, chosen: slice | np.ndarray) -> "Factors":
        """Those of some columns."""
        return Factors(
            scale=self.scale[:, chosen],
            zero_point=self.zero_point[:, chosen],
            offset=self.offset[:, chosen],
            channel=self.channel[chosen],
        )

    def of_first_group(self) -> "Factors":
        """Those of the first group, where all are the same."""
        return replace(self, scale=self.scale[:1], zero_point=self.zero_point[:1], offset=self.offset[:1])

    def in_groups(self, depth: int, old: int, new: int) -> "Factors":
        """Those of shorter groups of K = ``depth``, each of which lies in one of the ``old`` ones."""
        if not new or new == (old or depth):
            return self
        first = [group.start for group in group_slices(depth, new)]
        at = group_of(depth, old)[first]
        return replace(self, scale=self.scale[at], zero_point=self.zero_point[at], offset=self.offset[at])


@dataclass(frozen=True, eq=False, kw_only=True)
class Stored:
    """A weight (K, N) as it is stored.

    ::

        real[k, n] = ((value of code[k, n] - zero_point[g, n]) * scale[g, n] + offset[g, n]) * channel[n]

    Parameters
    ----------
    codes : uint32 array (K, N)
    format : Format
        What the codes mean.
    factors : Factors
        Of groups g of ``group_size`` neighbours along K.
    group_size : int
        0 for all of K; the last group may be shorter.
    order : int64 array (K,), optional
        Which channel of the activations is which k, if their order is another.
    """

    codes: np.ndarray
    format: Format
    factors: Factors
    group_size: int = 0
    order: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """K and N."""
        k, n = self.codes.shape
        return k, n

    def reals(self) -> np.ndarray:
        """The real weight (K, N) in float64, its rows in the order of the activations' channels."""
        groups, factors = group_of(len(self.codes), self.group_size), self.factors
        values = self.format.decode(self.codes) - factors.zero_point[groups]
        reals = (values * factors.scale[groups] + factors.offset[groups]) * factors.channel
        if self.order is None:
            return reals
        placed = np.empty_like(reals)
        placed[self.order] = reals
        return placed


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """Codes of one format read as those of another: ``value = factor * (other value) + shift``.

    Parameters
    ----------
    given, taken : Format
    factor, shift : float
    table : uint32 array (2**bits,) or None
        The other code of each; where there is none, 0. None if codes stay what they are.
    lacking : bool array (2**bits,) or None
        Which codes have no other; None if all have one.
    """

    given: Format
    taken: Format
    factor: float = 1.0
    shift: float = 0.0
    table: np.ndarray | None = None
    lacking: np.ndarray | None = None

    def codes(self, codes: np.ndarray) -> np.ndarray:
        """The other codes.

        Raises
        ------
        ValueError
            If one of ``codes`` has none.
        """
        if self.lacking is not None and (wrong := self.lacking[codes]).any():
            value = self.given.decode(codes[wrong][:1])[0]
            raise ValueError(f"takes weights of {self.taken.name}, not such as {value:.6g} of {self.given.name}")
        return codes if self.table is None else self.table[codes]

    def factors(self, factors: Factors) -> Factors:
        """Factors of the same weights, with the other codes."""
        if not self.shift and self.factor == 1:
            return factors
        # whole numbers, as a shift has a half only where the factor is one
        zero = ((factors.zero_point - self.shift) / self.factor).astype(np.int64)
        return replace(factors, scale=factors.scale * self.factor, zero_point=zero)


@functools.lru_cache(maxsize=256)
def readings(given: Format, taken: Format) -> tuple[Reading, ...]:
    """How codes of a format can be read as those of another, the plainest way first.

    Codes stay what they are if both are the same. Otherwise each value is one of ``taken`` itself, such as int4 in
    int8; or, of integers with as many codes as ``taken`` has, all are shifted, as uint4 is read as int4 with a zero
    point that is 8 less, or as bipolar4 of half the scale (LUT Tensor Core, arXiv 2408.06003). Of floats, some codes
    may have no counterpart.
    """
    if given == taken:
        return (Reading(given=given, taken=taken),)
    if given.bits > _MOST_BITS or taken.bits > _MOST_BITS:
        return ()
    values = given.decode(np.arange(1 << given.bits, dtype=np.uint32))
    finite = np.where(np.isfinite(values), values, 0)
    held = taken.holds(finite) & np.isfinite(values)
    found = []
    floats = isinstance(given, Float) and isinstance(taken, Float) and given.bits == taken.bits
    if held.all() or (floats and held.any()):
        table = taken.encode(np.where(held, finite, taken.bounds[0]))
        found.append(Reading(given=given, taken=taken, table=table, lacking=None if held.all() else ~held))
    if isinstance(given, Int) and isinstance(taken, Int | Bipolar) and given.bits == taken.bits:
        steps = (values - values.min()).astype(np.int64)
        whole = isinstance(taken, Int)
        table = taken.encode(steps + taken.bounds[0] if whole else 2 * steps + taken.bounds[0])
        factor = 1.0 if whole else 0.5
        shift = float(values.min() - factor * taken.bounds[0])
        found.append(Reading(given=given, taken=taken, factor=factor, shift=shift, table=table))
    return tuple(found)


def quantize_with(act: ArrayLike, like: Quantized) -> Quantized:
    """Real activations (M, K) with the one scale, zero point and format that ``like`` has, as ONNX QuantizeLinear.

    ``saturate(round_half_even(x / scale) + zero_point)`` in float32; of a float format ``x / scale`` in that format.
    """
    scaled = np.asarray(act, np.float32) / like.scale[0, 0]
    if isinstance(like.format, Int):
        scaled = np.rint(scaled).astype(np.float64) + like.zero_point[0, 0]
    return replace(like, codes=like.format.encode(scaled))


def reread(operand: Quantized, taken: Format) -> Quantized:
    """A quantized operand with codes of another format, of the same reals.

    Raises
    ------
    ValueError
        If its codes cannot be read so, or have a zero point and are no integers then.
    """
    for reading in readings(operand.format, taken):
        zero = ((operand.zero_point - reading.shift) / reading.factor).astype(np.int64)
        scale = operand.scale * np.float32(reading.factor)
        if zero.any() and (taken.fixed is None or taken.fixed.lsb):
            raise ValueError(f"Activations must have no zero point where they are {taken.name}, not {zero.flat[0]}")
        return replace(operand, codes=reading.codes(operand.codes), scale=scale, zero_point=zero, format=taken)
    raise ValueError(f"Activations must be of {taken.name}, not {operand.format.name}")
