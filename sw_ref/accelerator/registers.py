"""Registers of an accelerator, as whoever drives it sees them."""

from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "ADDRESS_BITS",
    "COUNTERS",
    "FAULT_COUNTERS",
    "ID",
    "REGISTERS",
    "VERSION",
    "Cause",
    "Register",
    "registers_of",
]

ADDRESS_BITS = 8
"""Of a byte among the registers."""
ID, VERSION = 0x4D414346, 2
"""What the first two registers say."""


class Cause(IntEnum):
    """Why a product was given up.

    ``OPERATION``: an unknown operation or flag. ``ADDRESS``: it is not that of a word, or beyond the bus. ``SIZE``: it
    is 0, or more than the engine takes. ``IMAGE``: it was not made for this engine. ``OVERRUN``: there are more
    descriptors than the ring has. ``LENGTH``: steps or parts of an image are not as long as the sizes ask for.
    ``BUS``: the bus did not answer, or took no results, for 16,384 cycles. ``READ_*``, ``WRITE_*``: the bus answered
    with an error.
    """

    NONE = 0
    OPERATION = 1
    ADDRESS = 2
    SIZE = 3
    IMAGE = 4
    OVERRUN = 5
    LENGTH = 6
    BUS = 7
    READ_DESCRIPTOR = 8
    READ_ACT = 9
    READ_WEIGHT = 10
    READ_COLUMN = 11
    READ_ROW = 12
    READ_OUTPUT = 13
    WRITE_RESULT = 14


@dataclass(frozen=True, kw_only=True)
class Register:
    """A register of 32 bits.

    ``access``: ``r`` reads only; ``rw``; ``w1c`` reads, and ones that are written clear; ``w`` ones that are written do
    something, and reads give 0 there.
    """

    name: str
    offset: int
    access: str
    doc: str


def _table(*rows: tuple[str, int, str, str]) -> dict[str, Register]:
    return {name: Register(name=name, offset=at, access=access, doc=doc) for name, at, access, doc in rows}


REGISTERS = _table(
    ("id", 0x00, "r", f"0x{ID:X}, of ASCII MACF"),
    ("version", 0x04, "r", f"of registers and records: {VERSION}"),
    ("digest", 0x08, "r", "of the engine and its bus, which an image's head must have"),
    ("control", 0x10, "rw", "bit 0: take descriptors; bit 1: reset, as soon as the bus is quiet; bit 2: counters to 0"),
    ("status", 0x14, "w1c", "bit 0: busy; bit 1: stopped by an error, go on with the next descriptor if it is cleared"),
    ("queue_base_low", 0x18, "rw", "address of the ring of descriptors, a multiple of 64 bytes"),
    ("queue_base_high", 0x1C, "rw", "its high bits, as many as the bus has"),
    ("queue_size", 0x20, "rw", "logarithm of the ring's size, from 0 to 15"),
    ("queue_head", 0x24, "rw", "descriptors that have been given, modulo 65536: the doorbell"),
    ("queue_tail", 0x28, "r", "descriptors that are done or were given up, modulo 65536"),
    ("error_cause", 0x2C, "r", "why the last one was given up, see the causes"),
    ("error_index", 0x30, "r", "its number, modulo 65536"),
    ("interrupt_enable", 0x34, "rw", "bit 0: of products with the flag; bit 1: of errors"),
    ("interrupt_status", 0x38, "w1c", "bit 0: a product with the flag is done; bit 1: an error"),
    ("cycles", 0x40, "r", "cycles in which there was a product"),
    ("stall_act", 0x44, "r", "of these, those in which the engine had room for activations and none came"),
    ("stall_weight", 0x48, "r", "for weights"),
    ("stall_column", 0x4C, "r", "for parameters of columns"),
    ("stall_row", 0x50, "r", "for parameters of rows"),
    ("stall_output", 0x54, "r", "for parameters of outputs"),
    ("stall_result", 0x58, "r", "for results to be taken"),
    ("words_read", 0x5C, "r", "words of the bus that were read"),
    ("words_written", 0x60, "r", "words of the bus that were written"),
    ("products", 0x64, "r", "products that are done"),
    ("errors", 0x68, "r", "products that were given up"),
    ("faults", 0x6C, "r", "with array.checksum: rows of sums that disagreed with their check sums"),
    (
        "faults_corrected",
        0x70,
        "r",
        "with array.checksum: of these, rows that are right all the same",
    ),
)
"""By name. Counters count modulo 2**32."""

FAULT_COUNTERS = ("faults", "faults_corrected")
"""Counters that accelerators have only if their arrays have check columns."""

COUNTERS = tuple(
    name
    for name, register in REGISTERS.items()
    if register.offset >= REGISTERS["cycles"].offset and name not in FAULT_COUNTERS
)
"""Registers that are counters of every accelerator, in the order of their offsets; `FAULT_COUNTERS` come behind."""


def registers_of(*, checked: bool) -> dict[str, Register]:
    """The registers of an accelerator, whose array has check columns or not."""
    return {name: one for name, one in REGISTERS.items() if checked or name not in FAULT_COUNTERS}
