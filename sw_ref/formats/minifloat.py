"""Floating-point formats of any shape: FP4 to FP32, exponents alone, with infinities and NaN or without."""

import operator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from sw_ref.formats.base import FixedPoint, Format
from sw_ref.interval import Interval

__all__ = ["BF16", "BIAS", "FLOATS", "FLOAT_PATTERN", "FP16", "FP32", "FRACTION", "Float", "named_float", "parse_float"]

_Specials = Literal["finite", "fn", "ieee"]
_Lowest = Literal["subnormal", "zero", "normal"]
_Overflow = Literal["saturate", "special"]
_Text = TypeVar("_Text", bound=str)

# of a float64
FRACTION, BIAS = 52, 1023

# Suffixes of a name. Without one of its own, a signed format is all finite, and an unsigned one has a NaN.
SPECIALS: dict[_Specials, str] = {"finite": "_finite", "fn": "_fn", "ieee": "_ieee"}
LOWEST: dict[_Lowest, str] = {"subnormal": "", "zero": "_flushed", "normal": "_nozero"}
OVERFLOW: dict[_Overflow, str] = {"saturate": "", "special": "_nonsat"}

# Bias of a `Float` until its constructor puts in the standard one, so that a bias is an integer to all others.
_STANDARD: Any = None

FLOAT_PATTERN = (
    r"(u?)e([0-9]{1,4})m([0-9]{1,4})(_finite|_fn|_ieee|)(?:_bias(-?[0-9]{1,4}))?(_flushed|_nozero|)(_nonsat|)"
)


@dataclass(frozen=True)
class Float(Format):
    """Binary floating point: a sign, an exponent and a fraction.

    A code is, from the top, a sign bit if ``signed``, the field E of ``exponent`` bits and the field F of ``fraction``
    bits. It stands for ``(1 + F / 2**fraction) * 2**(E - bias)``, and with E = 0 for what ``lowest`` says. The bias is
    an integer: a real one, as of LLM-FP4 (arXiv 2310.16836), is a scale of ``2**-bias`` and belongs to the quantizer.

    Reals are rounded once, to nearest and ties to the even code, whatever their magnitude. They keep their sign, also
    when they become 0; where there is none, negative ones become the least value. A NaN becomes :attr:`nan`.

    OCP 8-bit floating point (OFP8 1.0) and microscaling formats (MX 1.0); IEEE 754-2019; minifloats: arXiv 2311.12359.

    Parameters
    ----------
    exponent : int
        Bits, from 1 to 8.
    fraction : int
        Bits, from 0 to 23.
    signed : bool
    bias : int, optional
        From -256 to 256; ``2**(exponent - 1) - 1`` unless given.
    specials : {"finite", "fn", "ieee"}
        What is no number: no code; or the code of all ones, with either sign, a NaN; or E of all ones, infinity if F is
        0 and else a NaN.
    lowest : {"subnormal", "zero", "normal"}
        What E = 0 stands for: ``F / 2**fraction * 2**(1 - bias)``; or 0, whatever F; or the same as any other E, so
        that there is no 0; not if signed.
    overflow : {"saturate", "special"}
        What is rounded beyond the bounds, and infinity, becomes: the bound; or infinity, NaN if there is none.
    """

    exponent: int
    fraction: int
    signed: bool = True
    bias: int = _STANDARD
    specials: _Specials = "finite"
    lowest: _Lowest = "subnormal"
    overflow: _Overflow = "saturate"

    def __post_init__(self) -> None:
        if self.bias is _STANDARD:
            object.__setattr__(self, "bias", (1 << (operator.index(self.exponent) - 1)) - 1 if self.exponent > 0 else 0)
        for field, least, most in (("exponent", 1, 8), ("fraction", 0, 23), ("bias", -256, 256)):
            value = operator.index(getattr(self, field))
            object.__setattr__(self, field, value)
            if not least <= value <= most:
                raise ValueError(f"{field.capitalize()} must be from {least} to {most}, not {value}")
        if not isinstance(self.signed, bool):
            raise TypeError(f"Signed must be a bool, not {self.signed!r}")
        for field, allowed in (("specials", SPECIALS), ("lowest", LOWEST), ("overflow", OVERFLOW)):
            if getattr(self, field) not in allowed:
                raise ValueError(
                    f"{field.capitalize()} must be one of {', '.join(allowed)}, not {getattr(self, field)!r}"
                )
        if self.specials != "finite" and self.exponent < 2:
            raise ValueError(f"Exponent must be from 2 to 8 where a code is no number, not {self.exponent}")
        if self.signed and self.lowest == "normal":
            raise ValueError("Lowest must be 'subnormal' or 'zero' where there is a sign, not 'normal'")
        if self.specials == "ieee" and not self.fraction:
            raise ValueError("Fraction must be from 1 to 23 where there are infinity and NaN, not 0")
        if self.specials == "finite" and self.overflow == "special":
            raise ValueError("Overflow must be 'saturate' where every code is finite, not 'special'")

    @property
    def bits(self) -> int:
        return self.signed + self.exponent + self.fraction

    @property
    def name(self) -> str:
        saturating = replace(self, overflow="saturate")
        for name, known in FLOATS.items():
            if known == saturating:
                return name + OVERFLOW[self.overflow]
        default = Float(self.exponent, self.fraction)
        specials = "" if self.specials == ("finite" if self.signed else "fn") else SPECIALS[self.specials]
        bias = "" if self.bias == default.bias else f"_bias{self.bias}"
        fields = f"{'' if self.signed else 'u'}e{self.exponent}m{self.fraction}"
        return f"{fields}{specials}{bias}{LOWEST[self.lowest]}{OVERFLOW[self.overflow]}"

    @property
    def top_exponent(self) -> int:
        """The field E of all ones."""
        return (1 << self.exponent) - 1

    @property
    def largest(self) -> int:
        """Code of the largest finite value."""
        if self.infinity is not None:
            return self.infinity - 1
        return (1 << self.exponent + self.fraction) - 1 - (self.specials == "fn")

    @property
    def infinity(self) -> int | None:
        """Code of positive infinity, if there is one."""
        return self.top_exponent << self.fraction if self.specials == "ieee" else None

    @property
    def nan(self) -> int | None:
        """Code of the NaN that results, if there is one: positive; beside infinities, the quiet one."""
        if self.infinity is not None:
            return self.infinity | 1 << (self.fraction - 1)
        return self.largest + 1 if self.specials == "fn" else None

    @property
    def lsb(self) -> int:
        """Every finite value is an integer times ``2**lsb``."""
        return (self.lowest != "normal") - self.bias - self.fraction

    @property
    def bounds(self) -> tuple[float, float]:
        largest = float(self._magnitude(np.array(self.largest)))
        return (-largest if self.signed else float(self._magnitude(np.array(0)))), largest

    @property
    def full_precision(self) -> float:
        # where elements smaller by as many bits as a fraction has are still normal
        return 2.0 ** (1 - self.bias + self.fraction)

    @property
    def fixed(self) -> FixedPoint | None:
        scaled = [int(bound / 2.0**self.lsb) for bound in self.bounds]
        interval = Interval(*scaled)
        return FixedPoint(interval, self.lsb) if interval.signed_bits <= 64 else None

    def encode(self, real: ArrayLike) -> np.ndarray:
        real = self._checked(real)
        magnitude = np.abs(real)
        exact = magnitude.view(np.int64) - (BIAS - self.bias << FRACTION)
        drop = FRACTION - self.fraction
        # half a code's step, less one unless the code is odd
        codes = exact >> drop
        codes &= 1
        codes += exact
        codes += (1 << (drop - 1)) - 1
        codes >>= drop
        return self._finish(real, self._low(magnitude, codes, np.rint))

    def encode_stochastic(self, real: ArrayLike, u: ArrayLike) -> np.ndarray:
        """Codes of one of the values ``lo <= real <= hi`` next to each: hi if ``u < (real - lo) / (hi - lo)``, else lo.

        With u drawn evenly from [0, 1), the expected value is ``real``. Next to the largest value is what overflows.

        Parameters
        ----------
        real : real array, any shape
        u : float64 array that broadcasts to the same shape
            From 0 to less than 1.

        Raises
        ------
        ValueError
            If ``real`` holds a NaN and the format has none, or ``u`` is out of its range.
        """
        real, u = self._checked(real), np.asarray(u, dtype=np.float64)
        if not ((u >= 0) & (u < 1)).all():
            raise ValueError(f"u must be at least 0 and less than 1, not {u.min()!s} to {u.max()!s}")
        # twice the largest value overflows as infinity does
        magnitude = np.fmin(np.abs(real), 2 * self.bounds[1])
        exact = magnitude.view(np.int64) - (BIAS - self.bias << FRACTION)
        codes = self._low(magnitude, exact >> FRACTION - self.fraction, np.floor)
        further = np.maximum(codes + 1, 1 << self.fraction) if self.lowest == "zero" else codes + 1
        near, far = self._magnitude(codes), self._magnitude(further)
        # exact, since a step is a power of 2
        away = u < (magnitude - near) / (far - near)
        toward = u < (far - magnitude) / (far - near)
        return self._finish(real, np.where(np.where(real < 0, ~toward, away), further, codes))

    def decode(self, codes: ArrayLike) -> np.ndarray:
        codes = self.check_codes(codes).astype(np.int64)
        fields = codes & ((1 << self.exponent + self.fraction) - 1)
        values = self._magnitude(fields)
        values = np.where(fields > self.largest, np.inf if self.specials == "ieee" else np.nan, values)
        if self.infinity is not None:
            values = np.where(fields > self.infinity, np.nan, values)
        return np.where(codes >> self.exponent + self.fraction, -values, values)

    def _checked(self, real: ArrayLike) -> np.ndarray:
        return self.check_reals(real) if self.nan is None else np.asarray(real, dtype=np.float64)

    def _low(self, magnitude: np.ndarray, codes: np.ndarray, rounded: np.ufunc) -> np.ndarray:
        """``codes``, but for magnitudes of E = 0; ``rounded`` is np.rint or np.floor."""
        if self.lowest == "normal":
            return np.maximum(codes, 0)
        step = 2.0**self.lsb if self.lowest == "subnormal" else 2.0 ** (1 - self.bias)
        code = 1 if self.lowest == "subnormal" else 1 << self.fraction
        smallest = 2.0 ** (1 - self.bias)
        # fmin rids it of NaN
        low = rounded(np.fmin(magnitude, smallest) / step).astype(np.int64) * code
        return np.where(magnitude < smallest, low, codes)

    def _finish(self, real: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Codes of what was rounded to the magnitudes ``codes``, which may be too large."""
        if self.overflow == "saturate":
            codes = np.minimum(codes, self.largest)
        else:
            overflowed = self.nan if self.infinity is None else self.infinity
            assert overflowed is not None, "every code is finite, and so overflow is 'saturate'"
            codes = np.where(codes > self.largest, overflowed, codes)
        if self.signed:
            codes |= np.signbit(real).astype(np.int64) << (self.bits - 1)
        else:
            codes = np.where(real < 0, 0, codes)
        if self.nan is not None:
            codes = np.where(np.isnan(real), self.nan, codes)
        return codes.astype(np.uint32)

    def _magnitude(self, fields: np.ndarray) -> np.ndarray:
        """What E and F stand for, of int64 codes without their sign, as if none were special."""
        values = ((fields << FRACTION - self.fraction) + (BIAS - self.bias << FRACTION)).view(np.float64)
        if self.lowest == "normal":
            return values
        return np.where(fields >> self.fraction, values, fields * 2.0**self.lsb if self.lowest == "subnormal" else 0)


FLOATS = {
    "fp8_e4m3": Float(4, 3, specials="fn"),
    "fp8_e4m3_ieee": Float(4, 3, specials="ieee"),
    "fp8_e5m2": Float(5, 2, specials="ieee"),
    "fp6_e3m2": Float(3, 2),
    "fp6_e2m3": Float(2, 3),
    "fp4_e2m1": Float(2, 1),
    "fp4_e3m0": Float(3, 0),
    "fp4_e1m2": Float(1, 2),
    "bf16": Float(8, 7, specials="ieee"),
    "fp16": Float(5, 10, specials="ieee"),
    "fp32": Float(8, 23, specials="ieee"),
    "e8m0": Float(8, 0, signed=False, specials="fn", lowest="normal"),
}
"""Formats with names of their own: those of OCP, but for fp8_e4m3_ieee, which is Gaudi2's; and IEEE's and bfloat16."""

FP32, FP16, BF16 = FLOATS["fp32"], FLOATS["fp16"], FLOATS["bf16"]


def named_float(name: str, overflow: str) -> Float:
    """One of :data:`FLOATS`, with the suffix "_nonsat" or none."""
    return replace(FLOATS[name], overflow=_key(OVERFLOW, overflow))


def parse_float(
    unsigned: str, exponent: str, fraction: str, specials: str, bias: str | None, lowest: str, overflow: str
) -> Float:
    """The format of the groups of :data:`FLOAT_PATTERN`."""
    return Float(
        int(exponent),
        int(fraction),
        signed=not unsigned,
        bias=_STANDARD if bias is None else int(bias),
        specials=_key(SPECIALS, specials or ("_fn" if unsigned else "_finite")),
        lowest=_key(LOWEST, lowest),
        overflow=_key(OVERFLOW, overflow),
    )


def _key(suffixes: dict[_Text, str], suffix: str) -> _Text:
    return next(key for key, value in suffixes.items() if value == suffix)
