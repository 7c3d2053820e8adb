"""GGUF's quantized types: where the codes, scales and offsets of a block lie.

A tensor is a run of blocks, each of so many neighbours along K. Layouts are those that the GGML documentation and the
GGUF specification describe; a sub-block of a K-quant is a group, whose scale is the product of the block's FP16 number
and the sub-block's integer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sw_ref.formats.base import Format, Int
from sw_ref.formats.codebook import IQ4_NL
from sw_ref.formats.minifloat import BF16, FLOATS, FP16, FP32
from sw_ref.formats.signs import Ternary

__all__ = ["TYPES", "BlockType"]

_Bytes = np.ndarray
# Scales (B, groups) of blocks, and offsets or None.
_Factors = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True, kw_only=True)
class BlockType:
    """One type.

    Parameters
    ----------
    format : Format
        Of the codes.
    elements, size : int
        Elements and bytes of a block.
    group_size : int
        Elements that share a scale; 0 where there is none.
    codes : callable
        Blocks (B, size) of bytes to codes (B, elements).
    factors : callable or None
        Blocks to scales and offsets (B, elements / group_size), in float64.
    """

    format: Format
    elements: int
    size: int
    group_size: int
    codes: Callable[[_Bytes], np.ndarray]
    factors: Callable[[_Bytes], _Factors] | None = None


def _half(blocks: _Bytes, at: int) -> np.ndarray:
    """The FP16 numbers (B, 1) at a place of each block."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float64)


def _nibbles(packed: _Bytes) -> np.ndarray:
    """(B, bytes) to (B, 2 * bytes): all low halves, then all high ones."""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _bits(packed: _Bytes, count: int) -> np.ndarray:
    """(B, bytes) to (B, 8 / count, bytes): fields of ``count`` bits, the lowest first."""
    shifts = np.arange(0, 8, count, dtype=np.uint8)
    return packed[:, None, :] >> shifts[:, None] & (1 << count) - 1


def _fifth(packed: _Bytes) -> np.ndarray:
    """The top bits (B, 32) of codes of five, of which 4 bytes hold one each."""
    return np.unpackbits(np.ascontiguousarray(packed), axis=1, bitorder="little") << 4


def _floats(width: int) -> Callable[[_Bytes], np.ndarray]:
    return lambda blocks: np.ascontiguousarray(blocks).view(f"<u{width}").astype(np.uint32)


def _quarters(packed: _Bytes) -> np.ndarray:
    """Codes (B, 256) of two bits, in 64 bytes: two halves, in each four runs of 32."""
    return _bits(packed.reshape(-1, 32), 2).reshape(len(packed), 256)


def _q2_k(blocks: _Bytes) -> _Factors:
    scale, offset = blocks[:, :16] & 15, blocks[:, :16] >> 4
    return _half(blocks, 80) * scale, -_half(blocks, 82) * offset


def _q3_k_codes(blocks: _Bytes) -> np.ndarray:
    # one bit of each of 8 runs of 32
    top = _bits(blocks[:, :32], 1).reshape(len(blocks), 256)
    # without it, 4 less
    return _quarters(blocks[:, 32:96]) | (top ^ 1) << 2


def _q3_k(blocks: _Bytes) -> _Factors:
    packed = blocks[:, 96:108]
    low = _nibbles(packed[:, :8])
    high = _bits(packed[:, 8:], 2).reshape(len(blocks), 16)
    return _half(blocks, 108) * ((low | high << 4).astype(np.float64) - 32), None


def _q4_k(blocks: _Bytes) -> _Factors:
    """Also of Q5_K: 8 scales and 8 offsets of 6 bits in 12 bytes."""
    first, second, third = (blocks[:, at : at + 4] for at in (4, 8, 12))
    scale = np.concatenate([first & 63, third & 15 | (first >> 6) << 4], axis=1)
    offset = np.concatenate([second & 63, third >> 4 | (second >> 6) << 4], axis=1)
    return _half(blocks, 0) * scale, -_half(blocks, 2) * offset


def _q4_k_codes(packed: _Bytes) -> np.ndarray:
    """128 bytes to (B, 256): in each 32 bytes two runs of 32."""
    return _nibbles(packed.reshape(-1, 32)).reshape(len(packed), 256)


def _q5_k_codes(blocks: _Bytes) -> np.ndarray:
    return _q4_k_codes(blocks[:, 48:]) | _bits(blocks[:, 16:48], 1).reshape(len(blocks), 256) << 4


def _q6_k_codes(blocks: _Bytes) -> np.ndarray:
    low = _nibbles(blocks[:, :128].reshape(-1, 64)).reshape(len(blocks), 256)
    return (low | _bits(blocks[:, 128:192].reshape(-1, 32), 2).reshape(len(blocks), 256) << 4) ^ 32


def _q6_k(blocks: _Bytes) -> _Factors:
    return _half(blocks, 208) * np.ascontiguousarray(blocks[:, 192:208]).view(np.int8), None


def _trits(packed: _Bytes, count: int) -> np.ndarray:
    """(B, bytes) to (B, count, bytes): digits to the base of 3 of ``byte / 256``, the highest first."""
    powers = 3 ** np.arange(count, dtype=np.uint8)
    # modulo 256
    rest = packed[:, None, :] * powers[:, None]
    return (rest.astype(np.uint16) * 3 >> 8).reshape(len(packed), -1)


def _ternary(digits: np.ndarray) -> np.ndarray:
    if (digits > 2).any():
        raise ValueError("Ternary weights must be -1, 0 or 1, and a code of 2 stands for none of them: damaged")
    return Ternary().encode(digits.astype(np.float64) - 1)


def _tq1_0_codes(blocks: _Bytes) -> np.ndarray:
    pieces = (blocks[:, :32], 5), (blocks[:, 32:48], 5), (blocks[:, 48:52], 4)
    return _ternary(np.concatenate([_trits(*piece) for piece in pieces], axis=1))


def _mxfp4(blocks: _Bytes) -> _Factors:
    return np.ldexp(1.0, blocks[:, :1].astype(np.int64) - 127), None


TYPES = {
    "F32": BlockType(format=FP32, elements=1, size=4, group_size=0, codes=_floats(4)),
    "F16": BlockType(format=FP16, elements=1, size=2, group_size=0, codes=_floats(2)),
    "BF16": BlockType(format=BF16, elements=1, size=2, group_size=0, codes=_floats(2)),
    "Q4_0": BlockType(
        format=Int(4),
        elements=32,
        size=18,
        group_size=32,
        codes=lambda blocks: _nibbles(blocks[:, 2:]) ^ 8,
        factors=lambda blocks: (_half(blocks, 0), None),
    ),
    "Q4_1": BlockType(
        format=Int(4, signed=False),
        elements=32,
        size=20,
        group_size=32,
        codes=lambda blocks: _nibbles(blocks[:, 4:]),
        factors=lambda blocks: (_half(blocks, 0), _half(blocks, 2)),
    ),
    "Q5_0": BlockType(
        format=Int(5),
        elements=32,
        size=22,
        group_size=32,
        codes=lambda blocks: (_nibbles(blocks[:, 6:]) | _fifth(blocks[:, 2:6])) ^ 16,
        factors=lambda blocks: (_half(blocks, 0), None),
    ),
    "Q5_1": BlockType(
        format=Int(5, signed=False),
        elements=32,
        size=24,
        group_size=32,
        codes=lambda blocks: _nibbles(blocks[:, 8:]) | _fifth(blocks[:, 4:8]),
        factors=lambda blocks: (_half(blocks, 0), _half(blocks, 2)),
    ),
    "Q8_0": BlockType(
        format=Int(8),
        elements=32,
        size=34,
        group_size=32,
        codes=lambda blocks: blocks[:, 2:],
        factors=lambda blocks: (_half(blocks, 0), None),
    ),
    "Q2_K": BlockType(
        format=Int(2, signed=False),
        elements=256,
        size=84,
        group_size=16,
        codes=lambda blocks: _quarters(blocks[:, 16:80]),
        factors=_q2_k,
    ),
    "Q3_K": BlockType(format=Int(3), elements=256, size=110, group_size=16, codes=_q3_k_codes, factors=_q3_k),
    "Q4_K": BlockType(
        format=Int(4, signed=False),
        elements=256,
        size=144,
        group_size=32,
        codes=lambda blocks: _q4_k_codes(blocks[:, 16:]),
        factors=_q4_k,
    ),
    "Q5_K": BlockType(
        format=Int(5, signed=False), elements=256, size=176, group_size=32, codes=_q5_k_codes, factors=_q4_k
    ),
    "Q6_K": BlockType(format=Int(6), elements=256, size=210, group_size=16, codes=_q6_k_codes, factors=_q6_k),
    "IQ4_NL": BlockType(
        format=IQ4_NL,
        elements=32,
        size=18,
        group_size=32,
        codes=lambda blocks: _nibbles(blocks[:, 2:]),
        factors=lambda blocks: (_half(blocks, 0), None),
    ),
    "TQ1_0": BlockType(
        format=Ternary(),
        elements=256,
        size=54,
        group_size=256,
        codes=_tq1_0_codes,
        factors=lambda blocks: (_half(blocks, 52), None),
    ),
    "TQ2_0": BlockType(
        format=Ternary(),
        elements=256,
        size=66,
        group_size=256,
        codes=lambda blocks: _ternary(_quarters(blocks[:, :64])),
        factors=lambda blocks: (_half(blocks, 64), None),
    ),
    "MXFP4": BlockType(
        format=FLOATS["fp4_e2m1"],
        elements=32,
        size=17,
        group_size=32,
        codes=lambda blocks: _nibbles(blocks[:, 1:]),
        factors=_mxfp4,
    ),
}
"""The types by their names; a new one is one entry."""
