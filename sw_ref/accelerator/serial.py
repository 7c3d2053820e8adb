"""How a host talks to a board over a serial line: frames, requests and answers, as the bridge and the driver have them.

A frame is a number of words of 32 bits, little-endian, and their CRC-32 (that of Ethernet and ``zlib``) as one more.
Its bytes go over the line as in SLIP (RFC 1055): `END` before the first and behind the last, and `ESCAPE` in front of
what stands for one of these two. So a receiver that has lost its place, after noise or half a frame, has it again at
the next `END`; nothing waits for a time to pass.

Every request begins with two words, its head and its address:

    byte 0         byte 1     bytes 2, 3         bytes 4 to 7
    operation      sequence   count of words     address of a byte

Those that write have ``count`` words of data behind them. Every answer begins with one word:

    byte 0         byte 1     bytes 2, 3
    status         sequence   count of words

and has ``count`` words behind it. The sequence number is that of the request, so that a late answer is known as such;
it means nothing where the CRC was wrong. Each frame is answered once; what comes before its answer is sent is lost.
"""

import struct
import zlib
from enum import IntEnum

__all__ = [
    "END",
    "ESCAPE",
    "ESCAPED",
    "HEAD_WORDS",
    "INFO",
    "PROTOCOL",
    "Operation",
    "Status",
    "answer",
    "bodies",
    "framed",
    "request",
    "unframed",
]

END, ESCAPE = 0xC0, 0xDB
ESCAPED = {END: 0xDC, ESCAPE: 0xDD}
"""What follows `ESCAPE` in the place of each of the two."""

PROTOCOL = 0x4D465331
"""First word of the answer to `Operation.INFO`: ASCII MFS1."""
INFO = ("protocol", "memory_bytes", "most_words", "clock_hz")
"""Words of that answer: `PROTOCOL`, bytes of the memory, most words of data in a frame, and the clock of the board."""

HEAD_WORDS = 2
"""Of a request."""


class Operation(IntEnum):
    """What is asked for.

    ``INFO`` has the count 0 and is answered with `INFO`. ``READ`` and ``WRITE`` are of the memory, the other two of the
    accelerator's registers, whose addresses are their offsets; all four are of ``count`` words one behind the other.
    """

    INFO = 1
    READ = 2
    WRITE = 3
    READ_REGISTER = 4
    WRITE_REGISTER = 5


class Status(IntEnum):
    """What came of it.

    ``CRC``: the frame was damaged, and nothing was done. ``OPERATION``: there is none of this number. ``LENGTH``: the
    frame is not as long as its count says, or the count is 0 or more than a frame has. ``ADDRESS``: it is not that of
    a word. ``BUS``: there is nothing at the address, of some word at least; words ahead of it have been written.
    """

    OK = 0
    CRC = 1
    OPERATION = 2
    LENGTH = 3
    ADDRESS = 4
    BUS = 5


def request(operation: int, sequence: int, *, address: int = 0, count: int = 0, data: bytes = b"") -> bytes:
    """Body of the frame of a request."""
    return struct.pack("<BBHI", operation, sequence, count, address) + data


def answer(status: int, sequence: int, data: bytes = b"") -> bytes:
    """Body of the frame of an answer."""
    return struct.pack("<BBH", status, sequence, len(data) // 4) + data


def framed(body: bytes) -> bytes:
    """What goes over the line for a frame with this body."""
    whole = body + struct.pack("<I", zlib.crc32(body))
    escaped = b"".join(bytes([ESCAPE, ESCAPED[byte]]) if byte in ESCAPED else bytes([byte]) for byte in whole)
    return bytes([END]) + escaped + bytes([END])


def unframed(escaped: bytes) -> bytes | None:
    """The body of what came between two `END`; None if it was damaged."""
    whole, meant, escape = bytearray(), {code: byte for byte, code in ESCAPED.items()}, False
    for byte in escaped:
        if escape and byte not in meant:
            return None
        if escape or byte != ESCAPE:
            whole.append(meant[byte] if escape else byte)
        escape = byte == ESCAPE and not escape
    body, check = whole[:-4], whole[-4:]
    if escape or len(whole) % 4 or len(whole) < 8 or struct.pack("<I", zlib.crc32(body)) != check:
        return None
    return bytes(body)


def bodies(stream: bytes) -> list[bytes | None]:
    """The bodies of all frames in what has come over a line; None for each that was damaged."""
    return [unframed(part) for part in stream.split(bytes([END])) if part]
