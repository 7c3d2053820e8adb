"""What a command asks for: the sizes of one product, and how it is cut."""

from amaranth.lib import data

__all__ = ["SIZE_BITS", "job_layout"]

SIZE_BITS = 20
"""Width of M and N in a command: up to 1048575 rows and columns."""


def job_layout(*, max_k: int, max_passes: int, mode_bits: int) -> data.StructLayout:
    """Fields of a command, from the low bit.

    ``m``, ``n``, ``k``: the sizes. ``group``: products along K that make one sum; K if all do. ``passes``: how often
    the weights come, plane after plane, for the same activations. ``mode``: of the processing element, if it has
    several. Each but ``mode`` is at least 1.
    """
    depth = max_k.bit_length()
    mode = {"mode": mode_bits} if mode_bits else {}
    sizes = {"m": SIZE_BITS, "n": SIZE_BITS, "k": depth, "group": depth, "passes": max_passes.bit_length()}
    return data.StructLayout({**sizes, **mode})
