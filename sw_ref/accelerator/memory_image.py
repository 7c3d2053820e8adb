"""Puts products side by side into a memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sw_ref.accelerator.bus import DESCRIPTOR_BYTES
from sw_ref.accelerator.layout import Layout
from sw_ref.engine.product import Product

__all__ = ["MemoryImage", "Placed"]

# What addresses of a product's parts are multiples of, whatever the bus.
_ALIGNMENT = 64


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A product, where its parts are, and how many bytes its results take."""

    product: Product
    image: int
    act: int
    row: int
    result: int
    size: int


class MemoryImage:
    """A memory with a ring of descriptors and all that they say.

    Parameters
    ----------
    layout : Layout
    base : int
        Address of the memory's first byte, which is that of the ring.
    size : int
        Descriptors of the ring, a power of two.

    Attributes
    ----------
    content : bytearray
        The memory.
    placed : list of Placed
    """

    def __init__(self, layout: Layout, *, base: int = 0, size: int = 16) -> None:
        self.layout = layout
        self.base = base
        self.size = size
        self.placed: list[Placed] = []
        self.content = bytearray(size * DESCRIPTOR_BYTES)

    def add(self, product: Product, *, flags: int = 0, **other: int) -> Placed:
        """Put a product into the ring; ``other`` are fields of its descriptor in place of those that are right."""
        layout = self.layout
        size = layout.result_size(product)
        parts = {"image": layout.image(product), "act": layout.act_image(product), "row": layout.row_image(product)}
        places = {name: self._put(part) for name, part in parts.items()}
        # which is unlike any result, so that what is not written shows
        places["result"] = self._put(b"\xa5" * size)
        record = layout.descriptor(product, flags=flags, **(places | other))
        at = len(self.placed) % self.size * DESCRIPTOR_BYTES
        self.content[at : at + DESCRIPTOR_BYTES] = record
        placed = Placed(product=product, size=size, **places)
        self.placed.append(placed)
        return placed

    @property
    def ring_bytes(self) -> int:
        """Bytes of the ring."""
        return self.size * DESCRIPTOR_BYTES

    def descriptors(self) -> list[bytes]:
        """Of all products, in their order; of a ring that has gone round, what is left."""
        count = min(len(self.placed), self.size)
        records = range(len(self.placed) - count, len(self.placed))
        return [bytes(self.content[at % self.size * DESCRIPTOR_BYTES :][:DESCRIPTOR_BYTES]) for at in records]

    def array(self) -> np.ndarray:
        """The memory, byte by byte."""
        return np.frombuffer(bytes(self.content), np.uint8)

    def results(self, memory: np.ndarray) -> Sequence[np.ndarray]:
        """Results of each product in such a memory, see `Layout.results`."""
        return [
            self.layout.results(one.product, memory[one.result - self.base :][: one.size].tobytes())
            for one in self.placed
        ]

    def _put(self, content: bytes) -> int:
        self.content += bytes(-len(self.content) % _ALIGNMENT)
        at = self.base + len(self.content)
        self.content += content
        return at
