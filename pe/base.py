"""The contract of a processing element: two encoders at the edges, and a core that forms an exact sum."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit
from pe.block import Block
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum
from sw_ref.arith.rules import EXACT, Rule
from sw_ref.engine.spec import Mode
from sw_ref.fields import FieldError, Range, check_fields
from sw_ref.formats.base import Format
from sw_ref.interval import Interval

__all__ = ["PE", "Codes", "Core", "Encoder", "Lanes", "PEError"]

Lanes = Annotated[int, Range(1, 64)]
"""How many products a cell forms in a step."""


class PEError(ValueError):
    """These formats, lanes or options do not make a processing element of this family."""


class Encoder(Unit):
    """Turns the codes of one row or column of a step into the operand that all cells of it share.

    Ports
    -----
    codes : In(lanes * format.bits)
        One code a lane, lane 0 in the low bits.
    mask : In(lanes), only if ``masked``
        A lane whose bit is 0 contributes exactly nothing to any sum, whatever its code and its weight. An operand does
        not depend on the codes of masked lanes, and is 0 in all bits if all lanes are masked.
    mode : In(mode_bits), only if that is not 0
        Which of `PE.modes` the codes are of. A product of a mode with fewer lanes takes several neighbouring ones, all
        masked alike; its codes are packed from the low bits on, and the bits above them are ignored.
    operand : Out(bits)
        In such form as the family's core takes it.

    An encoder is told only what its circuit depends on, so that rows and columns, and designs, share it.

    Parameters
    ----------
    bits : int
        Width of a code.
    lanes : int
    operand_bits : int
    masked : bool
        Whether it has the port ``mask``; only activations are ever masked.
    mode_bits : int
        Width of the port ``mode``; 0 if there is one mode.
    """

    latency: int = 0
    """``operand`` belongs to the ``codes`` of this many cycles ago."""

    def __init__(self, *, bits: int, lanes: int, operand_bits: int, masked: bool, mode_bits: int = 0) -> None:
        self.bits = bits
        self.lanes = lanes
        self.masked = masked
        self.mode_bits = mode_bits
        mask = {"mask": In(lanes)} if masked else {}
        mode = {"mode": In(mode_bits)} if mode_bits else {}
        super().__init__({"codes": In(lanes * bits), **mask, **mode, "operand": Out(operand_bits)})


class Codes(Encoder):
    """Passes the codes on as they are; a masked lane becomes code 0, which stands for 0 in the formats it serves."""

    def __init__(self, *, bits: int, lanes: int, masked: bool) -> None:
        super().__init__(bits=bits, lanes=lanes, operand_bits=lanes * bits, masked=masked)

    @property
    def name(self) -> str:
        return f"codes_{self.lanes}x{self.bits}{'_masked' if self.masked else ''}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        lanes = [self.codes.word_select(lane, self.bits) for lane in range(self.lanes)]
        if self.masked:
            lanes = [Mux(self.mask[lane], code, 0) for lane, code in enumerate(lanes)]
        m.d.comb += self.operand.eq(Cat(lanes))
        return m


_P = TypeVar("_P", bound="PE")
_S = TypeVar("_S", bound=Accumulator | FloatSum)


class Core(Unit, Generic[_P, _S]):
    """Adds the products of one step to a running sum: the arithmetic of a cell.

    ``sum = addend + sum over lanes of act * weight``, kept as the accumulator says; or what `PE.rule` says the step is.

    Ports
    -----
    act : In(row_bits), weight : In(column_bits)
        Operands as the encoders made them.
    addend : In(accumulator bits), sum : Out(accumulator bits)
        Running sum, in the accumulator's own coding; all zeros is the empty sum. ``addend`` and ``sum`` belong
        to the operands of `PE.latency` cycles ago; ``sum`` follows ``addend`` in the same cycle, or `PE.interleave` - 1
        cycles later.
    """

    def __init__(self, *, pe: _P, accumulator: _S) -> None:
        self.pe = pe
        self.accumulator = accumulator
        super().__init__(
            {
                "act": In(pe.row_bits),
                "weight": In(pe.column_bits),
                "addend": In(accumulator.bits),
                "sum": Out(accumulator.bits),
            }
        )

    @property
    def name(self) -> str:
        return self.pe.name_with(self.accumulator)


@dataclass(frozen=True, kw_only=True)
class PE(ABC):
    """One processing element: a family with its formats.

    A family is one subclass in one module, and one entry in `pe.FAMILIES`. Arrays know nothing but this class.
    What the family needs beyond formats and lanes are further dataclass fields, its options, whose annotations say what
    they take, see `sw_ref.fields`.

    Parameters
    ----------
    act, weight : Format
        What the codes mean.
    lanes : int
        Products that a cell forms each step.
    """

    act: Format
    weight: Format
    lanes: Lanes = 1

    family: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]

    # without an annotation, as it is no field but of families that make it one
    interleave = 1
    """Sums that a cell keeps, and adds to in turn: cycles of a step, which adds to each of them.

    A step with all lanes masked then leaves every sum as it was.
    """

    def __post_init__(self) -> None:
        for side in ("act", "weight"):
            if not isinstance(getattr(self, side), Format):
                raise TypeError(f"{side} must be a Format, such as Int(8), not {getattr(self, side)!r}")
        try:
            check_fields(self, "Option")
        except FieldError as error:
            raise PEError(str(error).replace("Option lanes", "Lanes", 1)) from error
        self.check()

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """Names of the family's own parameters."""
        return tuple(field.name for field in fields(cls) if field.name not in ("act", "weight", "lanes"))

    @property
    def name(self) -> str:
        """What it is, as part of module names: ``mac_int8_int4``, ``mac_int8_uint2_x4`` with four lanes."""
        lanes = f"_x{self.lanes}" if self.lanes > 1 else ""
        return f"{self.family}_{self.act.name}_{self.weight.name}{lanes}"

    def name_with(self, accumulator: Accumulator | FloatSum) -> str:
        """What it is and how it sums: ``mac_int8_int4_acc24``, ``float_bf16_bf16_fp32``."""
        return f"{self.name}_{accumulator.name}"

    @property
    @abstractmethod
    def row_bits(self) -> int:
        """Width of the operand that a row's cells share, or those of the rows of a `block`."""

    @property
    @abstractmethod
    def column_bits(self) -> int:
        """Width of the operand that a column's cells share, or those of the columns of a `block`."""

    @property
    @abstractmethod
    def term(self) -> Interval:
        """What one step can add to a sum, in units of the last bit."""

    @property
    def latency(self) -> int:
        """Cycles from the operands to the addition inside a core."""
        return 0

    @property
    def lowest(self) -> tuple[int, int] | None:
        """What `sw_ref.arith.float_sum.FloatSum.sums` is told of act and weight; None if a core has no float sums."""
        return None

    @property
    def rule(self) -> Rule:
        """What one step computes; anything but exact products is an option that says so by its name."""
        return EXACT

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What can be chosen at run time, product by product; `lanes` is that of the mode with the most."""
        return (Mode(act=self.act, weight=self.weight, lanes=self.lanes),)

    @property
    def mode_bits(self) -> int:
        """Width of what chooses a mode; 0 if there is one."""
        return (len(self.modes) - 1).bit_length()

    @property
    def uses_dsp(self) -> bool:
        """Whether multipliers may be DSP blocks."""
        return False

    @property
    def block(self) -> Block | None:
        """What keeps the sums of several rows and columns, with one operand for its rows and one for its columns.

        Such an element has an encoder for each row and column of blocks, no core, and only output-stationary arrays.
        """
        return None

    @property
    def row_code_bits(self) -> int:
        """Width of the codes of a row and step: those of the mode that has the most."""
        return max(mode.lanes * mode.act.bits for mode in self.modes)

    @property
    def column_code_bits(self) -> int:
        """Width of the codes of a column and step: those of the mode that has the most."""
        return max(mode.lanes * mode.weight.bits for mode in self.modes)

    @abstractmethod
    def check(self) -> None:
        """Raise `PEError` if formats, lanes and options do not fit the family."""

    @abstractmethod
    def row_encoder(self, *, masked: bool) -> Encoder:
        """What stands at the edge of each row."""

    @abstractmethod
    def column_encoder(self) -> Encoder:
        """What stands at the edge of each column."""

    @abstractmethod
    def core(self, accumulator: Any) -> Core:
        """What stands in each cell.

        Parameters
        ----------
        accumulator : Accumulator
            Or a FloatSum, where `lowest` is not None.
        """
