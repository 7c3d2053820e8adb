"""Descriptors, and heads of their images, that an accelerator has to give up, and what for."""

from collections.abc import Mapping, Sequence

from sw_ref.accelerator.bus import DESCRIPTOR_BYTES
from sw_ref.accelerator.descriptor import HEAD
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.accelerator.registers import Cause
from sw_ref.engine.product import Product

__all__ = ["BAD_DESCRIPTORS", "BAD_HEADS", "Bad", "add_between"]

Bad = Mapping[str, tuple[Cause, Mapping[str, int]]]
"""What a record is given up for, and its fields that are other than they should be, by what is wrong."""

BAD_DESCRIPTORS: Bad = {
    "operation": (Cause.OPERATION, {"operation": 7}),
    "flags": (Cause.OPERATION, {"flags": 4}),
    "misaligned act": (Cause.ADDRESS, {"act": 0x1001}),
    "misaligned stride": (Cause.ADDRESS, {"result_stride": 12}),
    "beyond the bus": (Cause.ADDRESS, {"result": 1 << 32}),
    "image between records": (Cause.ADDRESS, {"image": 0x1008}),
    "no rows": (Cause.SIZE, {"m": 0}),
    "no panels": (Cause.SIZE, {"panels": 0}),
    "too many rows": (Cause.SIZE, {"m": 1 << 20}),
}
"""Of any accelerator with words of 64 bits and addresses of 32."""

BAD_HEADS: Bad = {
    "other engine": (Cause.IMAGE, {"digest": 1}),
    "no columns": (Cause.SIZE, {"n": 0}),
    "too deep": (Cause.SIZE, {"k": 4097}),
    "no steps": (Cause.SIZE, {"steps": 0}),
    "no weights": (Cause.SIZE, {"weight_bytes": 0}),
}
"""Of any accelerator whose engine sums no more than 4,096 products."""


def add_between(image: MemoryImage, products: Sequence[Product], descriptors: Bad, heads: Bad) -> dict[str, Cause]:
    """Add products to an image, each second of which has something wrong, and the last has not.

    Parameters
    ----------
    image : MemoryImage
    products : sequence of Product
        One more than twice as many as there are bad records; they are taken in turn.
    descriptors, heads : mapping
        What is wrong, the descriptors first.

    Returns
    -------
    dict of str to Cause
        What is wrong with the products 1, 3, 5, ..., and what they have to be given up for.
    """
    bad = [*descriptors.items(), *heads.items()]
    for index in range(2 * len(bad) + 1):
        name, (_cause, fields) = bad[index // 2] if index % 2 else ("", (Cause.NONE, {}))
        placed = image.add(products[index % len(products)], **(fields if name in descriptors else {}))
        if name in heads:
            head = slice(placed.image - image.base, placed.image - image.base + DESCRIPTOR_BYTES)
            image.content[head] = HEAD.pack(HEAD.unpack(bytes(image.content[head])) | dict(fields))
    return {name: cause for name, (cause, _fields) in bad}
