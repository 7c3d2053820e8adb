"""Drivers and monitors of valid/ready streams."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from cocotb.triggers import FallingEdge
from cocotb.types import LogicArray

from sw_ref.payload import joined, signed_values

__all__ = ["Sink", "Source", "level", "pack", "payloads", "reset", "unpack", "word"]


def payloads(rows: np.ndarray) -> list[int]:
    """Payloads out of their bytes, see `sw_ref.payload.packed`."""
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def pack(*fields: tuple[np.ndarray, int]) -> list[int]:
    """Payloads of fields ``((beats, slots), bits)``: the first in the low bits, slot 0 of each in its low bits."""
    return payloads(joined(*fields))


def unpack(payloads: Sequence[int], *fields: tuple[int, int]) -> list[np.ndarray]:
    """What `pack` has packed into payloads: of each field ``(slots, bits)`` its signed values ``(beats, slots)``.

    They are of `sw_ref.wide.integer_type`.
    """
    widths = [slots * bits for slots, bits in fields]
    size = -(-sum(widths) // 8)
    raw = np.frombuffer(b"".join(payload.to_bytes(size, "little") for payload in payloads), np.uint8)
    planes = np.unpackbits(raw.reshape(len(payloads), size), axis=1, bitorder="little", count=sum(widths))
    parts = np.split(planes, np.cumsum(widths)[:-1], axis=1)
    return [signed_values(part.reshape(len(part), *field)) for part, field in zip(parts, fields, strict=True)]


def level(handle: Any, name: str) -> bool:
    """Value of a signal of one bit; an assertion fails if it is neither 0 nor 1."""
    value = handle.value
    try:
        return bool(value)
    except ValueError:
        raise AssertionError(f"{name} is {value}, neither 0 nor 1") from None


def word(handle: Any) -> tuple[int, int]:
    """Value of a vector, and which of its bits are neither 0 nor 1: those are 0 in the value."""
    value = handle.value
    try:
        return int(value), 0
    except ValueError:
        bits = str(value)
    known = "".join(bit if bit in "01" else "0" for bit in bits)
    return int(known, 2), int("".join("01"[bit not in "01"] for bit in bits), 2)


class Source:
    """Drives one input stream with payloads, each held until it is taken.

    Parameters
    ----------
    dut : handle
    name : str
        The stream's name in the top module.
    payloads : sequence of int
    stalls : float
        Probability that a new payload is held back, drawn anew in every cycle.
    random : numpy.random.Generator
    four_state : bool
        Drive a payload of X while none is offered, which the simulator must know.
    """

    def __init__(
        self,
        dut: Any,
        name: str,
        payloads: Sequence[int],
        *,
        stalls: float,
        random: np.random.Generator,
        four_state: bool,
    ) -> None:
        self.name = name
        self.taken = 0
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._payloads = payloads
        self._stalls = stalls
        self._random = random
        self._nothing = LogicArray("X" * len(self._payload)) if four_state else None
        self._offered = self._taking = False

    @property
    def done(self) -> bool:
        """Everything has been taken."""
        return self.taken == len(self._payloads)

    def withdraw(self) -> None:
        """After the last edge: count what it took, and offer nothing more."""
        self.taken += self._taking
        self._taking = False
        self._withhold()

    def step(self) -> bool:
        """Before a rising edge: drive the stream, and tell whether a payload is taken at that edge."""
        if self._taking:
            self.taken += 1
            self._offered = False
        if not self._offered:
            if self.done or (self._stalls and self._random.random() < self._stalls):
                self._withhold()
            else:
                self._offered = True
                self._valid.value = 1
                self._payload.value = self._payloads[self.taken]
        self._taking = self._offered and self._is_ready
        return self._taking

    def check(self) -> None:
        """Before the same edge, when all has settled: `step` must not have been deceived."""
        assert self._taking == (self._offered and self._is_ready), (
            f"{self.name}.ready changed in the cycle in which an input did"
        )

    def _withhold(self) -> None:
        self._offered = False
        self._valid.value = 0
        if self._nothing is not None:
            self._payload.value = self._nothing

    @property
    def _is_ready(self) -> bool:
        return level(self._ready, f"{self.name}.ready")


class Sink:
    """Takes what one output stream gives: ``payloads``, and of each which bits are ``unknown``, see `word`.

    Parameters as those of `Source`; ``stalls`` is the probability of not being ready.
    """

    def __init__(self, dut: Any, name: str, *, stalls: float, random: np.random.Generator) -> None:
        self.name = name
        self.payloads: list[int] = []
        self.unknown: list[int] = []
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._stalls = stalls
        self._random = random
        self._ready_now: bool | None = None
        self._seen = False

    def step(self) -> bool:
        """Before a rising edge: drive the stream, and tell whether a payload is taken at that edge."""
        ready = not (self._stalls and self._random.random() < self._stalls)
        if ready != self._ready_now:
            self._ready.value = int(ready)
            self._ready_now = ready
        self._seen = level(self._valid, f"{self.name}.valid")
        taking = ready and self._seen
        if taking:
            payload, unknown = word(self._payload)
            self.payloads.append(payload)
            self.unknown.append(unknown)
        return taking

    def check(self) -> None:
        """Before the same edge, when all has settled: `step` must not have been deceived."""
        seen = level(self._valid, f"{self.name}.valid")
        assert self._seen == seen, f"{self.name}.valid changed in the cycle in which an input did"


async def reset(dut: Any) -> None:
    """Hold ``rst`` for one rising edge."""
    await FallingEdge(dut.clk)
    dut.rst.value = 1
    await FallingEdge(dut.clk)
    dut.rst.value = 0
