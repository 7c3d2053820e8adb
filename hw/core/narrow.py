"""The one place where values lose bits: each way has its name."""

from amaranth.hdl import Mux

from hw.core.number import Number
from sw_ref.arith.accumulate import Accumulator
from sw_ref.interval import Interval

__all__ = ["keep", "round_half_even", "saturate", "wrap"]


def wrap(number: Number, bits: int) -> Number:
    """Keep the low ``bits`` bits, read as two's complement: ``number`` modulo 2**bits."""
    kept = Interval.of_bits(bits, signed=True)
    return number if number.interval in kept else Number(number.value[:bits].as_signed(), kept)


def saturate(number: Number, bounds: Interval) -> Number:
    """Replace what lies outside ``bounds`` by the nearer bound."""
    value, interval = number.value, number.interval
    if interval.hi > bounds.hi:
        value = Mux(number.value > bounds.hi, bounds.hi, value)
    if interval.lo < bounds.lo:
        value = Mux(number.value < bounds.lo, bounds.lo, value)
    return Number(value, Interval(_clip(interval.lo, bounds), _clip(interval.hi, bounds)))


def keep(number: Number, accumulator: Accumulator) -> Number:
    """What ``accumulator`` keeps of a sum.

    An accumulator that refuses to overflow is sized so that no sum ever does: the bits dropped here say nothing.
    """
    if accumulator.overflow == "saturate":
        return saturate(number, accumulator.interval)
    return wrap(number, accumulator.bits)


def round_half_even(number: Number, places: int) -> Number:
    """``number / 2**places`` rounded to the nearest integer, ties to the even one."""
    value = number.value
    if not 0 <= places < len(value):
        raise ValueError(f"Places must be from 0 to {len(value) - 1} for a value of {len(value)} bits, not {places}")
    if places == 0:
        return number
    below_tie = value[: places - 1].any() if places > 1 else 0
    up = value[places - 1] & (value[places] | below_tie)
    bounds = (_half_even(bound, places) for bound in (number.interval.lo, number.interval.hi))
    return Number(value.shift_right(places) + up, Interval(*bounds))


def _clip(bound: int, bounds: Interval) -> int:
    return min(max(bound, bounds.lo), bounds.hi)


def _half_even(integer: int, places: int) -> int:
    quotient, rest = integer >> places, integer & ((1 << places) - 1)
    half = 1 << (places - 1)
    return quotient + (rest > half or (rest == half and quotient & 1))
