"""Codebooks: formats whose codes stand for values of any choice."""

from dataclasses import dataclass

from sw_ref.formats.tabulated import Tabulated

__all__ = ["IQ4_NL", "NF4", "NF4_REALS", "Codebook"]

NF4_REALS = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""NormalFloat 4: quantiles of the normal distribution (Dettmers et al., QLoRA, arXiv 2305.14314, appendix E)."""


@dataclass(frozen=True)
class Codebook(Tabulated):
    """Integers of any choice: code ``i`` stands for ``values[i]``.

    Parameters
    ----------
    values : tuple of int
        2, 4, ... 256 integers of 16 bits, ascending.
    label : str
        Name of a codebook that has one.
    """

    values: tuple[int, ...]
    label: str = ""

    def __post_init__(self) -> None:
        count = len(self.values)
        if not 2 <= count <= 256 or count & (count - 1):
            raise ValueError(f"Codebook must have 2, 4, 8, 16, 32, 64, 128 or 256 values, not {count}")
        if not all(-(1 << 15) <= value < 1 << 15 for value in self.values):
            raise ValueError(
                f"Codebook values must be from -32768 to 32767, not {min(self.values)} to {max(self.values)}"
            )
        if any(low >= high for low, high in zip(self.values, self.values[1:], strict=False)):
            raise ValueError(f"Codebook values must ascend, not be {', '.join(map(str, self.values))}")

    @property
    def bits(self) -> int:
        return len(self.values).bit_length() - 1

    @property
    def name(self) -> str:
        return self.label or f"codebook[{','.join(map(str, self.values))}]"

    @property
    def integers(self) -> tuple[int, ...]:
        return self.values


NF4 = Codebook(tuple(round(127 * real) for real in NF4_REALS), label="nf4")
"""NF4 in 8 bits: the largest magnitude of a group becomes 127."""

IQ4_NL = Codebook(
    (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113),
    label="iq4_nl",
)
"""The 16 values of GGUF's IQ4_NL."""
