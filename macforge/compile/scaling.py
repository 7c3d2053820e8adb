"""Factors of a drain edge brought into the range of its floats: a power of two is taken out of all, if it must be."""

import math
from dataclasses import dataclass

import numpy as np

from sw_ref.arith.float_codes import is_result_format, round_to, smallest_normal
from sw_ref.formats.minifloat import Float

__all__ = ["Scaling", "product_exponent"]


@dataclass(kw_only=True)
class Scaling:
    """Floats that are multiplied by one factor after the other, and the power of two that is taken out of them.

    Parameters
    ----------
    arithmetic : Float
        The floats.
    exponent : int
        What is computed is ``2**exponent`` times less than what is meant.
    """

    arithmetic: Float
    exponent: int = 0

    def factor(
        self,
        name: str,
        shape: Float,
        factors: np.ndarray,
        after: np.ndarray,
        *,
        beside: tuple[Float, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Codes of ``factors / 2**e``, where e, which is added to ``exponent``, is 0 if nothing is lost.

        Otherwise e is the integer nearest to 0 with which no factor becomes 0 or infinite, and, if there is a choice,
        no magnitude of ``after`` overflows, and none of them comes so near to 0 that flushing takes more of it than
        rounding does.

        Parameters
        ----------
        name : str
            The step's key, for errors.
        shape : Float
            Format of the factors.
        factors : float64 array
        after : float64 array
            Magnitudes that the floats have at most once they are multiplied by ``factors``; 0 where they are 0.
        beside : (Float, float64 array), optional
            What is added to the products, of another format perhaps, and is divided by the same power of two.

        Raises
        ------
        ValueError
            If the factors, or what they lead to, lie too far apart for their format.
        """
        low, high = _exponents(factors, shape)
        if beside is not None:
            lowest, highest = _exponents(beside[1], beside[0])
            low, high = max(low, lowest), min(high, highest)
        if low > high:
            least, most = _extent(factors if beside is None else np.concatenate([factors, beside[1]]))
            raise ValueError(
                f"Drain {name} must hold scales from {least:.3g} to {most:.3g}, which lie too far apart for a float "
                f"of {shape.exponent} exponent bits; fp32 and bf16 have 8"
            )
        now = np.ldexp(after, -self.exponent)
        lowest, highest = _exponents(now, self.arithmetic, margin=self.arithmetic.fraction)
        # an upper bound may be far from what comes, and what overflows is seen
        wanted = min(max(0, min(lowest, highest)), highest)
        shift = min(max(wanted, low), high)
        if shift > highest:
            least, most = _extent(now)
            raise ValueError(
                f"Drain arithmetic must hold results of {least:.3g} beside {most:.3g}, which a float of "
                f"{self.arithmetic.exponent} exponent bits does not; fp32 and bf16 have 8"
            )
        self.exponent += shift
        return _codes(name, shape, np.ldexp(factors, -shift))


def _codes(name: str, form: Float, factors: np.ndarray) -> np.ndarray:
    if is_result_format(form):
        return round_to(form, factors)
    if factors.min(initial=0) < 0 and not form.signed:
        raise ValueError(f"Drain {name} must hold scales such as {factors.min():.3g}, and {form.name} has no sign")
    # without a code for 0, any will do: what is scaled is 0
    return form.encode(factors)


def product_exponent(shape: Float, magnitudes: np.ndarray) -> int:
    """The e nearest to 0 with which sums of floats hold products of ``magnitudes / 2**e``, bounds of their sums.

    Raises
    ------
    ValueError
        If they lie too far apart.
    """
    lowest, highest = _exponents(magnitudes, shape, margin=shape.fraction)
    if lowest > highest:
        least, most = _extent(magnitudes)
        raise ValueError(
            f"Accumulator shape must hold sums of {least:.3g} beside {most:.3g}, which lie too far apart for a float "
            f"of {shape.exponent} exponent bits; fp32 and bf16 have 8"
        )
    return min(max(0, lowest), highest)


def _extent(magnitudes: np.ndarray) -> tuple[float, float]:
    """Least and largest magnitude other than 0; 1 and 1 if there is none."""
    sizes = np.abs(magnitudes[magnitudes != 0])
    return (float(sizes.min()), float(sizes.max())) if sizes.size else (1.0, 1.0)


def _exponents(magnitudes: np.ndarray, shape: Float, *, margin: int = 0) -> tuple[int, int]:
    """The least and the largest e with which all ``magnitudes / 2**e`` are normal, the least by ``margin`` bits."""
    least, most = _extent(magnitudes)
    lowest = math.floor(math.log2(least / smallest_normal(shape)))
    return math.ceil(math.log2(most / shape.bounds[1])), lowest - margin
