"""The memory bus of an accelerator, and how wide what it carries is stored."""

from dataclasses import dataclass
from math import gcd
from typing import Annotated

from sw_ref.fields import OneOf, Range, check_fields

__all__ = ["DESCRIPTOR_BYTES", "Bus", "chunk_bits", "slot_bits", "stride_bits"]

DESCRIPTOR_BYTES = 64
"""Bytes of a descriptor, and of the head of an image."""

# Places in a word of the bus at which a beat may begin: each costs a multiplexer for all of its bits.
_PLACES = 8
# AXI4, A3.4.1: a burst crosses no boundary of so many bytes.
_BOUNDARY = 4096


@dataclass(frozen=True, kw_only=True)
class Bus:
    """An AXI4 port.

    Parameters
    ----------
    data_bits : int
        Width of its data.
    address_bits : int
        Width of the address of a byte.
    burst : int
        Words of the longest burst, a power of two. Bursts stay between two multiples of it, so at most 4 KiB.
    outstanding : int
        Bursts of reads that are asked for before the first is answered, a power of two.
    """

    data_bits: Annotated[int, OneOf((32, 64, 128, 256, 512))] = 64
    address_bits: Annotated[int, Range(16, 64)] = 32
    burst: Annotated[int, OneOf((2, 4, 8, 16, 32, 64, 128, 256))] = 16
    outstanding: Annotated[int, OneOf((2, 4, 8, 16, 32, 64))] = 8

    def __post_init__(self) -> None:
        check_fields(self, "Bus")
        if self.burst * self.word_bytes > _BOUNDARY:
            raise ValueError(
                f"Bus burst must be at most {_BOUNDARY // self.word_bytes} words of {self.data_bits} bits, "
                f"not {self.burst}"
            )

    @property
    def word_bytes(self) -> int:
        """Bytes of a word: what a beat of the bus carries."""
        return self.data_bits // 8

    @property
    def low_bits(self) -> int:
        """Bits of the address of a byte in a word."""
        return (self.word_bytes - 1).bit_length()

    @property
    def word_address_bits(self) -> int:
        """Width of the address of a word."""
        return self.address_bits - self.low_bits

    @property
    def length_bits(self) -> int:
        """Width of the words of a burst, less one."""
        return (self.burst - 1).bit_length()


def slot_bits(bits: int) -> int:
    """Bits that a number of so many takes in memory: the next power of two."""
    return 1 << (bits - 1).bit_length()


def stride_bits(beat: int, word: int) -> int:
    """Bits from one beat of a stream to the next in memory, for words of so many bits.

    The least number of whole bytes that a beat fits in and that is a multiple of the word, or that begins at eight
    places in it at most.
    """
    bits = -(-beat // 8) * 8
    while bits % word and bits // gcd(bits, word) > _PLACES:
        bits += 8
    return bits


def chunk_bits(bits: int, word: int) -> int:
    """Bits of what a row of activations gives to a step: a multiple of the word, or a power of two below it."""
    return slot_bits(bits) if bits < word else -(-bits // word) * word
