"""The two records that start a product: a descriptor, and the head of a layer's image."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from sw_ref.accelerator.bus import DESCRIPTOR_BYTES

__all__ = ["DESCRIPTOR", "HEAD", "INTERRUPT", "PRODUCT", "WAIT", "Record", "RecordField"]

PRODUCT = 1
"""Operation of a descriptor: a matrix product."""
INTERRUPT = 1
"""Flag of a descriptor: interrupt when its results are in memory."""
WAIT = 2
"""Flag of a descriptor: read nothing before the results of all descriptors ahead of it are in memory."""

_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True, kw_only=True)
class RecordField:
    """A field of a record, little-endian: ``size`` bytes from ``offset`` on."""

    name: str
    offset: int
    size: int
    doc: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """64 bytes in memory; what no field covers is 0."""

    fields: tuple[RecordField, ...]

    def __getitem__(self, name: str) -> RecordField:
        return next(field for field in self.fields if field.name == name)

    def pack(self, values: Mapping[str, int]) -> bytes:
        """The record with these values of its fields; a field that is left out is 0."""
        known = {field.name for field in self.fields}
        if unknown := set(values) - known:
            raise ValueError(f"Record has fields {', '.join(sorted(known))}, not {', '.join(sorted(unknown))}")
        record = bytearray(DESCRIPTOR_BYTES)
        for field in self.fields:
            value = values.get(field.name, 0)
            if not 0 <= value < 1 << 8 * field.size:
                raise ValueError(f"Record {field.name} must fit {field.size} bytes, not be {value}")
            struct.pack_into(f"<{_CODES[field.size]}", record, field.offset, value)
        return bytes(record)

    def unpack(self, record: bytes) -> dict[str, int]:
        """Values of the fields."""
        return {
            field.name: struct.unpack_from(f"<{_CODES[field.size]}", record, field.offset)[0] for field in self.fields
        }


def _record(*rows: tuple[str, int, int, str]) -> Record:
    return Record(fields=tuple(RecordField(name=name, offset=at, size=size, doc=doc) for name, at, size, doc in rows))


DESCRIPTOR = _record(
    ("operation", 0, 1, "1: a product"),
    ("flags", 1, 1, "bit 0: interrupt; bit 1: wait for the results of all descriptors ahead"),
    ("m", 4, 4, "rows of the activations and results"),
    ("image", 8, 8, "address of the layer's image, a multiple of 64 bytes"),
    ("act", 16, 8, "address of the activations"),
    ("row", 24, 8, "address of the parameters of rows"),
    ("result", 32, 8, "address of the results"),
    ("act_stride", 40, 4, "bytes from one row of activations to the next"),
    ("result_stride", 44, 4, "bytes from one row of results to the next"),
    ("result_plane", 48, 4, "bytes from the results of one group to those of the next, without a drain edge"),
    ("row_last_bytes", 52, 4, "bytes of the last panel's parameters of rows"),
    ("panels", 56, 4, "panels of rows of activations: m over the rows of a panel, up to a whole number"),
)
"""What a product is, in a queue of such."""

HEAD = _record(
    ("digest", 0, 4, "digest of the engine and its bus, as the register says"),
    ("n", 4, 4, "columns of the results"),
    ("k", 8, 2, "products along K"),
    ("group", 10, 2, "products along K that make one sum"),
    ("passes", 12, 1, "passes over the weights"),
    ("mode", 13, 1, "mode of the processing element"),
    ("results", 14, 2, "results of each element: without a drain edge, of every pass and group"),
    ("steps", 16, 4, "steps along K, for each of which a row of activations has a chunk"),
    ("row_bytes", 20, 4, "bytes of a whole panel's parameters of rows"),
    ("weight_bytes", 24, 4, "bytes of the weights, which follow the head"),
    ("column_bytes", 28, 4, "bytes of the parameters of columns, which follow the weights"),
    ("output_bytes", 32, 4, "bytes of the parameters of outputs, which follow those of columns"),
    ("weight_beats", 36, 4, "beats of the weights"),
    ("blocks", 40, 4, "blocks of columns: n over the columns of the array, up to a whole number"),
)
"""The head of a layer's image: weights and parameters lie behind it in the order of beats, each from a whole word."""
