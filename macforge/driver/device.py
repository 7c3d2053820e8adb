"""Drives an accelerator from Python, with the calls of ``macforge.c``."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from sw_ref.accelerator.bus import DESCRIPTOR_BYTES
from sw_ref.accelerator.registers import COUNTERS, FAULT_COUNTERS, ID, REGISTERS, VERSION, Cause

__all__ = ["Device", "GivenUpError", "Registers", "Ring"]

_ENABLE, _RESET, _CLEAR_COUNTERS = 1, 2, 4
_BUSY, _ERROR = 1, 2
# Polls until the bus must be quiet after a reset.
_QUIET = 100_000
_COUNT = 1 << 16


class Registers(Protocol):
    """How the registers are reached: a simulation, mapped memory, or a serial line."""

    def read(self, offset: int) -> int:
        """The register at an offset in bytes."""
        ...

    def write(self, offset: int, value: int) -> None:
        """Write it."""
        ...


class Ring(Protocol):
    """Memory of the ring: an array of bytes, or what is sliced as one."""

    def __len__(self) -> int: ...

    def __setitem__(self, part: slice, values: np.ndarray, /) -> None:
        """Write bytes."""
        ...


class GivenUpError(RuntimeError):
    """The accelerator gave a product up.

    Parameters
    ----------
    cause : Cause
    index : int
        Number of the product's descriptor, modulo 65536.
    """

    def __init__(self, cause: Cause, index: int) -> None:
        self.cause = cause
        self.index = index
        super().__init__(f"Product {index} was given up: {cause.name.lower().replace('_', ' ')}")


class Device:
    """An accelerator with a ring of descriptors.

    Parameters
    ----------
    registers : Registers
    ring : Ring
        Memory of the ring, as the accelerator sees it: a power of two of descriptors.
    address : int
        Its address, as the accelerator sees it; a multiple of 64.

    Raises
    ------
    ValueError
        If the ring is not a power of two of descriptors, from 1 to 32768, or not at a multiple of 64.
    RuntimeError
        If there is no accelerator, or one of another version.
    """

    def __init__(self, registers: Registers, ring: Ring, address: int) -> None:
        size, rest = divmod(len(ring), DESCRIPTOR_BYTES)
        if rest or not 1 <= size <= 1 << 15 or size & (size - 1) or address % DESCRIPTOR_BYTES:
            raise ValueError(
                f"Ring must be a power of two of descriptors of {DESCRIPTOR_BYTES} bytes at a multiple of it, not "
                f"{len(ring)} bytes at {address:#x}"
            )
        self._registers = registers
        self._ring = ring
        self.size = size
        self.head = 0
        if (found := (self.read("id"), self.read("version"))) != (ID, VERSION):
            raise RuntimeError(f"Accelerator must say {ID:#x} and version {VERSION}, not {found[0]:#x} and {found[1]}")
        self.reset(address)

    def reset(self, address: int) -> None:
        """Give everything up, and begin with an empty ring at this address."""
        self.write("control", _RESET)
        for _poll in range(_QUIET):
            if not self.read("status") & (_BUSY | _ERROR):
                break
        else:
            raise RuntimeError("Accelerator must be quiet after a reset; its bus does not answer")
        self.head = 0
        self.write("queue_base_low", address & 0xFFFFFFFF)
        self.write("queue_base_high", address >> 32)
        self.write("queue_size", self.size.bit_length() - 1)
        self.write("interrupt_status", 3)
        self.write("control", _ENABLE | _CLEAR_COUNTERS)

    def read(self, name: str) -> int:
        """A register."""
        return self._registers.read(REGISTERS[name].offset)

    def write(self, name: str, value: int) -> None:
        """Write a register."""
        self._registers.write(REGISTERS[name].offset, value)

    @property
    def done(self) -> int:
        """Number of the next product to be done, modulo 65536."""
        return self.read("queue_tail")

    def submit(self, *descriptors: bytes) -> None:
        """Put products into the ring, and ring the doorbell once.

        Raises
        ------
        ValueError
            If there is no room for all.
        """
        free = self.size - (self.head - self.done) % _COUNT
        if len(descriptors) > free:
            raise ValueError(f"Ring must have room for {len(descriptors)} descriptors, not for {free}")
        for index, descriptor in enumerate(descriptors, self.head):
            at = index % self.size * DESCRIPTOR_BYTES
            self._ring[at : at + DESCRIPTOR_BYTES] = np.frombuffer(descriptor, np.uint8)
        self.head = (self.head + len(descriptors)) % _COUNT
        self.write("queue_head", self.head)

    def poll(self) -> bool:
        """Whether all products are done.

        Raises
        ------
        GivenUpError
            If one was given up; `resume` goes on with the next.
        """
        status = self.read("status")
        if status & _ERROR:
            raise GivenUpError(Cause(self.read("error_cause")), self.read("error_index"))
        return not status & _BUSY

    def wait(self, *, polls: int = 1_000_000, between: Callable[[], object] = lambda: None) -> None:
        """Poll so many times at most, with a call between two.

        Raises
        ------
        GivenUpError
            As `poll`.
        TimeoutError
            If products are not done then.
        """
        for _poll in range(polls):
            if self.poll():
                return
            between()
        raise TimeoutError(f"Product {self.done} of {self.head} was not done after {polls} polls")

    def resume(self) -> None:
        """After an error, go on with the next product."""
        self.write("status", _ERROR)

    def counters(self) -> dict[str, int]:
        """All counters."""
        return {name: self.read(name) for name in COUNTERS}

    def faults(self) -> dict[str, int]:
        """Counters of faulty rows of sums, of an accelerator with check columns; its bus answers no other one's."""
        return {name: self.read(name) for name in FAULT_COUNTERS}
