"""Frames on a serial line: what is sent comes out again, and what is damaged does not."""

import numpy as np
import pytest

from sw_ref.accelerator.serial import (
    END,
    ESCAPE,
    Operation,
    Status,
    answer,
    bodies,
    framed,
    request,
    unframed,
)


def test_a_frame_is_what_the_standards_say():
    """RFC 1055's escapes, and the check value that catalogues of CRCs give for CRC-32 of the digits 1 to 9."""
    assert framed(bytes([END, ESCAPE]))[:5] == bytes([0xC0, 0xDB, 0xDC, 0xDB, 0xDD])
    check = 0xCBF43926.to_bytes(4, "little")
    assert framed(b"123456789") == b"\xc0123456789" + check + b"\xc0"


def test_requests_and_answers_are_little_endian():
    assert request(Operation.READ, 7, address=0x12345678, count=0x203) == bytes.fromhex("020703027856 3412")
    assert answer(Status.BUS, 7) == bytes.fromhex("05070000")
    assert answer(Status.OK, 7, bytes(8)) == bytes.fromhex("00070200") + bytes(8)


@pytest.mark.parametrize("words", [1, 2, 3, 257])
def test_bodies_come_out_as_they_went_in(words):
    random = np.random.default_rng(words)
    made = [random.choice([END, ESCAPE, 0xDC, 0xDD, 0, 255], 4 * words).astype(np.uint8).tobytes() for _ in range(20)]
    assert bodies(b"".join(map(framed, made))) == made


def test_every_flipped_bit_is_seen():
    body = request(Operation.WRITE, 1, address=4, count=1, data=b"\xc0\xdb\x00\x01")
    whole = framed(body)
    for at in range(1, len(whole) - 1):
        for bit in range(8):
            damaged = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
            assert body not in bodies(damaged)


@pytest.mark.parametrize("part", [b"", b"\xdb", b"\xdb\x00", bytes(3), bytes(7), framed(bytes(6))[1:-1]])
def test_what_is_no_frame_has_no_body(part):
    assert unframed(part) is None
