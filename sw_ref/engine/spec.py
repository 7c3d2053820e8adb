"""An engine as plain data: what whoever feeds it has to know, and nothing of its circuit."""

from collections.abc import Mapping
from dataclasses import dataclass

from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.float_sum import FloatSum
from sw_ref.arith.rules import Rule
from sw_ref.drain.edge import Drain
from sw_ref.formats.base import Format

__all__ = ["EngineSpec", "Field", "Mode"]


@dataclass(frozen=True, kw_only=True)
class Mode:
    """What the operands of one product are: ``lanes`` products a step, of codes of these formats."""

    act: Format
    weight: Format
    lanes: int

    @property
    def name(self) -> str:
        """``int8_int4_x2``."""
        return f"{self.act.name}_{self.weight.name}" + (f"_x{self.lanes}" if self.lanes > 1 else "")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a payload: ``bits`` wide, two's complement if ``signed``."""

    name: str
    bits: int
    signed: bool = False


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """An engine to whoever feeds it.

    Parameters
    ----------
    dataflow : {"output_stationary", "weight_stationary"}
    rows, cols : int
        Cells.
    panel_rows : int
        Rows of A that stay on chip.
    lanes : int
        Slots of a step of a cell: the products of the mode that has the most.
    span : int
        Slots along K that one step, or one block of weights, takes in.
    interleave : int
        Sums that a cell keeps, and adds to in turn.
    modes : tuple of Mode
        What can be chosen product by product.
    row_code_bits, column_code_bits : int
        Width of the codes of a row, or column, in a beat.
    group_size : int
        Products along K that make one sum unless a command says fewer; 0 for all.
    max_k, max_group, max_passes, max_steps : int
        Slots along K, slots of a group, passes of weights, and steps along K that there is room for.
    sums : Accumulator or FloatSum
    rule : Rule
        What a step computes.
    lowest : tuple of int or None
        Lowest exponents of act and weight, for sums that are floats.
    drain : Drain or None
    accumulates : bool
        Whether the drain edge adds several sums of an element.
    row_sums : bool
        Whether it takes sums of activations.
    invalid : bool
        Whether results tell of operands that are not finite.
    result_bits : int
    parameters : mapping of str to tuple of Field
        For each stream of parameters, the fields of a slot, the first in the low bits.
    command : tuple of Field
        Fields of a command, the first in the low bits.
    start : int
        Cycles from a command to the first in which operands are taken, less one.
    latency : int
        Cycles from the step with the last products of an element of C to its result, in front of the FIFO, if no row
        waits.
    group_cycles : int
        Cycles between the first sums of two groups, at least.
    turns : int
        Cycles that the drain edge takes for a row of sums.
    """

    dataflow: str
    rows: int
    cols: int
    panel_rows: int
    lanes: int
    span: int
    interleave: int
    modes: tuple[Mode, ...]
    row_code_bits: int
    column_code_bits: int
    group_size: int
    max_k: int
    max_group: int
    max_passes: int
    max_steps: int
    sums: Accumulator | FloatSum
    rule: Rule
    lowest: tuple[int, int] | None
    drain: Drain | None
    accumulates: bool
    row_sums: bool
    invalid: bool
    result_bits: int
    parameters: Mapping[str, tuple[Field, ...]]
    command: tuple[Field, ...]
    start: int
    latency: int
    group_cycles: int
    turns: int

    @property
    def stream_bits(self) -> dict[str, int]:
        """Width of the payload of each stream."""
        parameters = {
            kind: sum(field.bits for field in fields) * (1 if kind == "row" else self.cols)
            for kind, fields in self.parameters.items()
        }
        return {
            "command": sum(field.bits for field in self.command),
            "act": self.rows * self.row_code_bits,
            "weight": self.cols * self.column_code_bits,
            **parameters,
            "result": self.cols * (self.result_bits + self.invalid) + 1,
        }

    def command_payload(self, **values: int) -> int:
        """A command with these values of its fields; a field that is left out is 0."""
        payload, place = 0, 0
        for field in self.command:
            value = values.get(field.name, 0)
            if not 0 <= value < 1 << field.bits:
                raise ValueError(f"Command {field.name} must fit {field.bits} bits, not be {value}")
            payload |= value << place
            place += field.bits
        return payload
