"""Payloads of streams as bytes. Benches load this in every simulation, and so it needs next to nothing."""

import numpy as np

from sw_ref.wide import from_limbs, integer_type, limbs

__all__ = ["joined", "packed", "signed_values"]


def packed(*fields: tuple[np.ndarray, int], lanes: int = 1, word: int = 0) -> np.ndarray:
    """Payloads as bytes, low ones first: uint8 ``(beats, bytes)``.

    Parameters
    ----------
    fields : (array (beats, slots), int)
        Codes, and the bits of each. A slot of the payload holds one code of each field, the first field's in the low
        bits; slot 0 is in the low bits of the payload.
    lanes, word : int
        With ``word``, each ``lanes`` slots are put into a word of so many bits, which may be more than they take.
    """
    planes = [
        np.unpackbits(limbs(codes, bits).astype("<u8").view(np.uint8), axis=2, bitorder="little", count=bits)
        for codes, bits in fields
    ]
    slots = np.concatenate(planes, axis=2)
    words = slots.reshape(len(slots), -1, lanes * slots.shape[2])
    words = np.pad(words, ((0, 0), (0, 0), (0, max(0, word - words.shape[2]))))
    return np.packbits(words.reshape(len(words), -1), axis=1, bitorder="little")


def joined(*fields: tuple[np.ndarray, int]) -> np.ndarray:
    """Payloads, see `packed`, in which each field of codes ``(beats, slots)`` lies behind the whole one before it."""
    planes = [
        np.unpackbits(packed((codes, bits)), axis=1, bitorder="little", count=codes.shape[1] * bits)
        for codes, bits in fields
    ]
    return np.packbits(np.concatenate(planes, axis=1), axis=1, bitorder="little")


def signed_values(planes: np.ndarray) -> np.ndarray:
    """Two's complement ``(beats, slots)`` out of its bits ``(beats, slots, bits)``, low ones first.

    It is of `sw_ref.wide.integer_type`.
    """
    bits = planes.shape[2]
    # the top bit is the sign, and goes on above
    planes = np.pad(planes, ((0, 0), (0, 0), (0, -bits % 64)), mode="edge")
    words = np.packbits(planes, axis=2, bitorder="little").view("<u8")
    kind = integer_type(bits)
    return from_limbs(words) if kind is object else words[:, :, 0].astype(kind)
