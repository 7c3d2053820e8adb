"""Drives a board over its serial line, see `sw_ref.accelerator.serial`."""

import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from macforge.driver.device import Device
from macforge.extras import require_extras
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.accelerator.registers import REGISTERS
from sw_ref.accelerator.serial import END, INFO, PROTOCOL, Operation, Status, framed, request, unframed

if TYPE_CHECKING:
    pass

__all__ = ["BoardError", "SerialBoard", "SerialMemory", "SerialRegisters", "run_products"]

_WORD = 4
# Seconds of silence after which nothing more is taken to be on its way.
_SILENCE = 0.05


class BoardError(RuntimeError):
    """The board has not done what was asked for, or says nothing.

    Parameters
    ----------
    asked : str
    status : Status, optional
        What the board says; None if it says nothing.
    """

    def __init__(self, asked: str, status: Status | None) -> None:
        self.status = status
        told = "does not answer" if status is None else f"answered with {status.name.lower()}"
        super().__init__(f"Board {told}: {asked}")


class SerialBoard:
    """A board with an accelerator, its memory and its registers.

    What is damaged on the line is asked for again, unless a register may have been written already.

    Parameters
    ----------
    port : str
        Device of the serial line, such as ``/dev/ttyUSB0``.
    baud : int
        Bits a second, as the board was built for.
    patience : float
        Seconds that an answer may take.
    tries : int
        How often a request is made that is not answered.

    Attributes
    ----------
    memory : SerialMemory
    registers : SerialRegisters
    info : dict of str to int
        What the board says of itself, see `sw_ref.accelerator.serial.INFO`.

    Raises
    ------
    ModuleNotFoundError
        If the extra ``boards`` is not installed.
    BoardError
        If nothing answers.
    RuntimeError
        If what answers speaks another protocol.
    """

    def __init__(self, port: str, *, baud: int = 1_000_000, patience: float = 2.0, tries: int = 3) -> None:
        require_extras("boards")
        from serial import Serial

        self._line: Serial = Serial(port, baud, timeout=_SILENCE)
        self._patience = patience
        self._tries = tries
        self._sequence = 0
        self._came = bytearray()
        with contextlib.ExitStack() as unless_all_is_well:
            unless_all_is_well.callback(self._line.close)
            self._resynchronize()
            words = np.frombuffer(self.exchange(Operation.INFO), "<u4")
            if len(words) != len(INFO) or words[0] != PROTOCOL:
                raise RuntimeError(f"Board must speak the protocol {PROTOCOL:#x}, not answer with {words.tolist()}")
            unless_all_is_well.pop_all()
        self.info = dict(zip(INFO, map(int, words), strict=True))
        self.memory = SerialMemory(self, 0, self.info["memory_bytes"])
        self.registers = SerialRegisters(self)

    def close(self) -> None:
        """Give the port back."""
        self._line.close()

    def __enter__(self) -> "SerialBoard":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def exchange(self, operation: Operation, *, address: int = 0, count: int = 0, data: bytes = b"") -> bytes:
        """The data that a request is answered with.

        Raises
        ------
        BoardError
            If it is not done, or not answered so many times.
        """
        lost, end = 0, time.monotonic() + self._patience * self._tries
        while True:
            self._sequence = (self._sequence + 1) % 256
            self._line.write(framed(request(operation, self._sequence, address=address, count=count, data=data)))
            body = self._answer(self._sequence)
            status = None if body is None else Status(body[0])
            if body is not None and status == Status.OK:
                return body[4:]
            lost += status is None
            once = lost and operation == Operation.WRITE_REGISTER
            # of what was on the line before, there may be many answers with a wrong CRC
            if status not in (None, Status.CRC) or once or lost == self._tries or time.monotonic() > end:
                raise BoardError(f"{operation.name.lower()} of {count} words at {address:#x}", status)
            self._resynchronize()

    def _answer(self, sequence: int) -> bytes | None:
        """Body of the answer to a request; None if there is none, or it is damaged."""
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            self._came += self._line.read(max(1, self._line.in_waiting))
            while END in self._came:
                part, _, rest = bytes(self._came).partition(bytes([END]))
                self._came = bytearray(rest)
                body = unframed(part) if part else None
                if part and body is None:
                    return None
                # a board that could not read a frame does not know its number
                if body is not None and (body[1] == sequence or body[0] == Status.CRC):
                    return body
        return None

    def _resynchronize(self) -> None:
        """End whatever frame the board thinks to be in, and drop all that it has said."""
        self._line.write(bytes([END]))
        end = time.monotonic() + self._patience
        while self._line.read(max(1, self._line.in_waiting)) and time.monotonic() < end:
            pass
        self._came.clear()


class SerialMemory:
    """Bytes of a board's memory, whole words of them, as an array of bytes is sliced.

    Parameters
    ----------
    board : SerialBoard
    address, size : int
        Where it begins, and how many bytes it has.
    """

    def __init__(self, board: SerialBoard, address: int, size: int) -> None:
        self._board = board
        self._address = address
        self._size = size

    def __len__(self) -> int:
        return self._size

    def _places(self, part: slice) -> tuple[int, int]:
        start, stop, step = part.indices(self._size)
        if step != 1 or start % _WORD or stop % _WORD:
            raise ValueError(f"Memory must be taken in whole words of {_WORD} bytes, not {part}")
        return start, max(stop, start)

    def _chunks(self, start: int, stop: int) -> list[tuple[int, int]]:
        """First byte and number of bytes of what goes in a frame."""
        most = self._board.info["most_words"] * _WORD
        return [(at, min(most, stop - at)) for at in range(start, stop, most)]

    def part(self, part: slice) -> "SerialMemory":
        """A part of it, as memory of its own."""
        start, stop = self._places(part)
        return SerialMemory(self._board, self._address + start, stop - start)

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop = self._places(part)
        read = (
            self._board.exchange(Operation.READ, address=self._address + at, count=size // _WORD)
            for at, size in self._chunks(start, stop)
        )
        return np.frombuffer(b"".join(read), np.uint8)

    def __setitem__(self, part: slice, values: np.ndarray) -> None:
        start, stop = self._places(part)
        if len(values) != stop - start:
            raise ValueError(f"Memory must be given {stop - start} bytes, not {len(values)}")
        content = values.astype(np.uint8).tobytes()
        for at, size in self._chunks(start, stop):
            data = content[at - start :][:size]
            self._board.exchange(Operation.WRITE, address=self._address + at, count=size // _WORD, data=data)


class SerialRegisters:
    """Registers of the accelerator, for `macforge.driver.device.Device`."""

    def __init__(self, board: SerialBoard) -> None:
        self._board = board

    def read(self, offset: int) -> int:
        """A register."""
        return int.from_bytes(self._board.exchange(Operation.READ_REGISTER, address=offset, count=1), "little")

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        data = value.to_bytes(_WORD, "little")
        self._board.exchange(Operation.WRITE_REGISTER, address=offset, count=1, data=data)


def run_products(board: SerialBoard, image: MemoryImage) -> Sequence[np.ndarray]:
    """Results of all products of an image, see `sw_ref.accelerator.layout.Layout.results`.

    Parameters
    ----------
    board : SerialBoard
    image : MemoryImage
        At address 0, of no more products than its ring has descriptors.

    Raises
    ------
    ValueError
        If the board was built for another engine, or the image does not fit its memory or its ring.
    macforge.driver.device.GivenUpError
        If the accelerator gives a product up.
    """
    if image.base or len(image.content) > len(board.memory):
        raise ValueError(
            f"Image must fit a memory of {len(board.memory)} bytes from address 0 on, not take "
            f"{len(image.content)} from {image.base:#x} on"
        )
    if len(image.placed) > image.size:
        raise ValueError(
            f"Image must have at most {image.size} products, which its ring takes, not {len(image.placed)}"
        )
    found = board.registers.read(REGISTERS["digest"].offset)
    if found != image.layout.digest:
        raise ValueError(f"Board must have the engine that the image is for, {image.layout.digest:#x}, not {found:#x}")
    content = np.frombuffer(bytes(image.content).ljust(-(-len(image.content) // _WORD) * _WORD, b"\0"), np.uint8).copy()
    device = Device(board.registers, board.memory.part(slice(image.ring_bytes)), 0)
    board.memory[image.ring_bytes : len(content)] = content[image.ring_bytes :]
    device.submit(*image.descriptors())
    device.wait()
    for one in image.placed:
        # which begin at a word, and end within one
        end = one.result + -(-one.size // _WORD) * _WORD
        content[one.result : end] = board.memory[one.result : end]
    return image.results(content)
