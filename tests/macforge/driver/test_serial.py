"""The driver of boards over a serial port, against the RTL of a whole board behind a pseudo-terminal."""

import os

import numpy as np
import pytest
from serial import Serial

from fpga.boards import find_board
from macforge.driver.device import GivenUpError
from macforge.driver.serial import BoardError, SerialBoard, run_products
from macforge.emit.board import board_design, board_unit
from macforge.run.random_products import random_products
from sw_ref.accelerator.bus import Bus
from sw_ref.accelerator.layout import Layout
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.accelerator.registers import ID, REGISTERS, Cause
from sw_ref.accelerator.serial import END, PROTOCOL, Operation, Status, answer, bodies, framed, request
from sw_ref.engine.product import expected_results
from tb.board_simulator import BoardSimulator

BOARD = find_board("ice40_hx8k")
MEMORY, MOST = BOARD.memory_bytes, BOARD.frame_words


@pytest.fixture(scope="module")
def design():
    # the board of docs/howto/board.md, which is built once for both
    return board_design("w8a8_os", BOARD, ["array.rows=1", "array.cols=1"])


@pytest.fixture(scope="module")
def simulator(design):
    with BoardSimulator(board_unit(design, BOARD), cycles=90_000) as running:
        yield running
        assert running.broken == 0


@pytest.fixture
def board(simulator):
    with SerialBoard(simulator.port) as opened:
        yield opened


def image_of(design, sizes, **other):
    image, random = MemoryImage(Layout(engine=design.engine.spec, bus=design.bus), size=4), np.random.default_rng(1)
    for m, n, k in sizes:
        for one in random_products(design, random, m=m, n=n, k=k):
            image.add(one, **other)
    return image


def raw(simulator, stream):
    """The bodies that a board answers some bytes with, which no driver has made."""
    with Serial(simulator.port, timeout=0.3) as line:
        line.write(stream)
        came = bytearray()
        while more := line.read(max(1, line.in_waiting)):
            came += more
    return bodies(bytes(came))


def test_results_are_those_of_the_model(board, design):
    image = image_of(design, [(3, 4, 17), (1, 1, 1)])
    got = run_products(board, image)
    for one, results in zip(image.placed, got, strict=True):
        assert np.array_equal(results, expected_results(image.layout.engine, one.product))


def test_board_says_what_it_is(board):
    assert board.info == {"protocol": PROTOCOL, "memory_bytes": MEMORY, "most_words": MOST, "clock_hz": 12_000_000}
    assert len(board.memory) == MEMORY
    assert board.registers.read(REGISTERS["id"].offset) == ID


def test_memory_is_sliced_in_words(board):
    content = np.random.default_rng(3).integers(0, 256, 4 * MOST + 8).astype(np.uint8)
    board.memory[4 : 4 + len(content)] = content
    assert np.array_equal(board.memory[4 : 4 + len(content)], content)
    part = board.memory.part(slice(8, 24))
    assert np.array_equal(part[4:8], content[8:12])
    assert len(board.memory[8:8]) == 0
    for wrong in (slice(1, 4), slice(0, 6), slice(0, 8, 2)):
        with pytest.raises(ValueError, match=r"^Memory must be taken in whole words of 4 bytes, not slice"):
            board.memory[wrong]
    with pytest.raises(ValueError, match=r"^Memory must be given 4 bytes, not 8$"):
        board.memory[0:4] = np.zeros(8)


def test_a_product_that_is_given_up_is_said_to_be(board, design):
    with pytest.raises(GivenUpError, match=r"^Product 0 was given up: write result$") as caught:
        run_products(board, image_of(design, [(1, 1, 1)], result=MEMORY))
    assert caught.value.cause == Cause.WRITE_RESULT
    # and the next one is none the worse
    image = image_of(design, [(2, 2, 5)])
    (got,) = run_products(board, image)
    assert np.array_equal(got, expected_results(image.layout.engine, image.placed[0].product))


def test_what_does_not_fit_is_refused(board, design):
    other = MemoryImage(Layout(engine=design.engine.spec, bus=Bus(data_bits=64)))
    with pytest.raises(ValueError, match=r"^Board must have the engine that the image is for, 0x\w+, not 0x\w+$"):
        run_products(board, other)
    with pytest.raises(
        ValueError, match=r"^Image must fit a memory of 4096 bytes from address 0 on, not take 256 from"
    ):
        run_products(board, MemoryImage(other.layout, base=64, size=4))
    many = image_of(design, [(1, 1, 1)] * 5)
    with pytest.raises(ValueError, match=r"^Image must have at most 4 products, which its ring takes, not 5$"):
        run_products(board, many)


def test_what_is_not_there_is_an_error(board):
    for operation, address in (
        (Operation.READ, MEMORY),
        (Operation.READ_REGISTER, 0xFC),
        (Operation.READ_REGISTER, 256),
    ):
        with pytest.raises(BoardError, match=r"^Board answered with bus: read\w* of 1 words at 0x\w+$") as caught:
            board.exchange(operation, address=address, count=1)
        assert caught.value.status == Status.BUS


WRITE = framed(request(Operation.WRITE, 5, address=64, count=1, data=b"\1\2\3\4"))


def test_a_frame_with_a_wrong_crc_is_answered_with_an_error(simulator, board):
    board.memory[64:68] = np.zeros(4)
    assert raw(simulator, WRITE[:-2] + bytes([WRITE[-2] ^ 1, END])) == [answer(Status.CRC, 5)]
    assert (board.memory[64:68] == 0).all()
    assert raw(simulator, WRITE) == [answer(Status.OK, 5)]
    assert bytes(board.memory[64:68]) == b"\1\2\3\4"


@pytest.mark.parametrize(
    "noise",
    [bytes(range(256)) * 3, WRITE[:9], WRITE[:-1], b"\xdb" * 50, b"\0" * 700, b"\xc0" * 30],
    ids=["noise", "cut off", "without an end", "escapes", "zeros", "ends"],
)
def test_garbage_is_survived(simulator, noise):
    """Somebody else has left half a frame on the line: whoever opens it next is answered."""
    raw(simulator, noise)
    with SerialBoard(simulator.port) as opened:
        assert opened.registers.read(REGISTERS["id"].offset) == ID
        opened.memory[0:8] = np.arange(8)
        assert np.array_equal(opened.memory[0:8], np.arange(8))


def test_garbage_in_the_middle_is_survived(simulator, board):
    """The board loses its place between two requests of a driver that does not know: the next one is made again."""
    raw(simulator, WRITE[:7])
    assert board.registers.read(REGISTERS["id"].offset) == ID
    board.memory[0:4] = np.arange(4)
    raw(simulator, b"\x00\xdb\x01")
    assert np.array_equal(board.memory[0:4], np.arange(4))


def test_a_line_where_nobody_answers_is_an_error(simulator):
    _ours, theirs = os.openpty()
    with pytest.raises(BoardError, match=r"^Board does not answer: info of 0 words at 0x0$"):
        SerialBoard(os.ttyname(theirs), patience=0.1)
