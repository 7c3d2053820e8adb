"""Circuits without feedback as terms of bit vectors: what each word is, of inputs a fixed number of cycles before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitwuzla import Kind, Term, TermManager

from hw.emit.tools import ToolError
from tb.formal.netlist import netlist

__all__ = ["Aged", "Bits", "Circuit", "FeedForward", "NotFeedForwardError", "size"]

_SCRIPT = "hierarchy -top {top}; proc; flatten; memory_map; opt_clean; opt_expr; opt_clean"
_REGISTER = "$dff"


class NotFeedForwardError(ToolError):
    """A circuit has feedback, or paths of different lengths from an input to the same place."""


class Bits:
    """Terms of bit vectors, as Verilog means them: widths follow from what is asked, and numbers are never refused."""

    def __init__(self) -> None:
        self.manager = TermManager()
        self._named: dict[str, Term] = {}

    def variable(self, name: str, width: int) -> Term:
        """Any ``width`` bits."""
        return self.manager.mk_const(self.manager.mk_bv_sort(width), name)

    def array(self, name: str, address: int, data: int) -> Term:
        """What a memory holds: the same whoever asks for that of a name, with addresses and data of so many bits."""
        if name not in self._named:
            sort = self.manager.mk_array_sort(self.manager.mk_bv_sort(address), self.manager.mk_bv_sort(data))
            self._named[name] = self.manager.mk_const(sort, name)
        return self._named[name]

    def named(self, name: str, width: int) -> Term:
        """Any ``width`` bits: the same whoever asks for those of a name."""
        if name not in self._named:
            self._named[name] = self.variable(name, width)
        return self._named[name]

    def constant(self, number: int, width: int) -> Term:
        """``number`` modulo ``2**width``."""
        text = format(number % (1 << width), f"0{width}b")
        return self.manager.mk_bv_value(self.manager.mk_bv_sort(width), text, 2)

    def of(self, kind: Kind, *terms: Term) -> Term:
        """What bitwuzla's kind of term makes of some."""
        return self.manager.mk_term(kind, list(terms))

    def slice(self, term: Term, low: int, width: int) -> Term:
        """``width`` bits from bit ``low`` on."""
        if low == 0 and width == size(term):
            return term
        return self.manager.mk_term(Kind.BV_EXTRACT, [term], [low + width - 1, low])

    def concat(self, parts: Sequence[Term]) -> Term:
        """The first part in the low bits."""
        found = parts[0]
        for part in parts[1:]:
            found = self.of(Kind.BV_CONCAT, part, found)
        return found

    def resized(self, term: Term, width: int, *, signed: bool) -> Term:
        """The number in ``width`` bits: extended, or modulo ``2**width``."""
        more = width - size(term)
        if more <= 0:
            return self.slice(term, 0, width)
        return self.manager.mk_term(Kind.BV_SIGN_EXTEND if signed else Kind.BV_ZERO_EXTEND, [term], [more])

    def is_set(self, term: Term) -> Term:
        """Whether a number is not 0, as a Boolean."""
        return self.of(Kind.DISTINCT, term, self.constant(0, size(term)))

    def choice(self, condition: Term, so: Term, otherwise: Term) -> Term:
        """One of two words, by a Boolean."""
        return self.of(Kind.ITE, condition, so, otherwise)

    def bit(self, condition: Term, width: int) -> Term:
        """1 or 0, in ``width`` bits, for a Boolean."""
        return self.choice(condition, self.constant(1, width), self.constant(0, width))


def size(term: Term) -> int:
    """Width of a word."""
    return term.sort().bv_size()


@dataclass(frozen=True)
class Aged:
    """A word, and to how many cycles ago its inputs belong; None for a constant."""

    term: Term
    age: int | None


class Circuit:
    """A netlist, any word of which is to be had as a term of the inputs, and of what registers hold.

    Parameters
    ----------
    bits : Bits
    module : mapping
        As Yosys writes JSON.
    """

    def __init__(self, bits: Bits, module: Mapping[str, Any]) -> None:
        self._bits = bits
        self._module = module
        self._driver = {
            bit: name
            for name, cell in self._module["cells"].items()
            for pin, wires in cell["connections"].items()
            if cell["port_directions"][pin] == "output"
            for bit in wires
        }

    def width(self, port: str) -> int:
        """Bits of a port."""
        return len(self._module["ports"][port]["bits"])

    def output(self, port: str, inputs: Mapping[str, Term]) -> tuple[Term, int]:
        """What an output is of the inputs, and of how many cycles before.

        Raises
        ------
        NotFeedForwardError
            If there is no such number of cycles.
        """
        words = {
            bit: (Aged(term, 0), index)
            for name, term in inputs.items()
            for index, bit in enumerate(self._module["ports"][name]["bits"])
        }
        wires = self._module["ports"][port]["bits"]
        for name in self._in_order(wires, words):
            self._evaluate(name, words)
        found = self._word(wires, words, port)
        return found.term, found.age or 0

    def _in_order(self, wires: Sequence[Any], known: Mapping[Any, Any]) -> Iterator[str]:
        """Cells that some wires depend on, each after those that it depends on."""
        waiting, under_way, done = self._behind(wires, known), set(), set()
        while waiting:
            name = waiting[-1]
            if name in done:
                waiting.pop()
                continue
            before = [each for each in self._behind(_inputs(self._module["cells"][name]), known) if each not in done]
            if not before:
                done.add(waiting.pop())
                yield name
                continue
            if name in under_way:
                raise NotFeedForwardError(f"Circuit must have no feedback, and {name} depends on itself")
            under_way.add(name)
            waiting += before

    def _behind(self, wires: Sequence[Any], known: Mapping[Any, Any]) -> list[str]:
        """Cells that drive some wires."""
        unknown = [wire for wire in wires if isinstance(wire, int) and wire not in known]
        if any(wire not in self._driver for wire in unknown):
            raise NotFeedForwardError("Circuit must depend on no other inputs than those that are given")
        return list(dict.fromkeys(self._driver[wire] for wire in unknown))

    def _word(self, wires: Sequence[Any], words: Mapping[Any, tuple[Aged, int]], place: str) -> Aged:
        """Wires as one word: as few parts as there are words that they are of."""
        parts: list[Term] = []
        ages: set[int | None] = set()
        index = 0
        while index < len(wires):
            start, wire = index, wires[index]
            index += 1
            if not isinstance(wire, int):
                parts.append(self._unknown(place, start) if wire == "x" else self._bits.constant(wire == "1", 1))
                continue
            word, low = words[wire]
            ages.add(word.age)
            while index < len(wires) and _follows(words.get(wires[index]), word, low + index - start):
                index += 1
            parts.append(self._bits.slice(word.term, low, index - start))
        return Aged(self._bits.concat(parts), _age(ages, place))

    def _unknown(self, _place: str, _index: int) -> Term:
        """What is unknown may be either."""
        return self._bits.variable("x", 1)

    def _evaluate(self, name: str, words: dict[Any, tuple[Aged, int]]) -> None:
        """What a cell gives out."""
        cell = self._module["cells"][name]
        kind, pins = cell["type"], cell["connections"]
        if kind != _REGISTER and kind not in _CELLS:
            raise NotFeedForwardError(f"Circuit must have cells that {__name__} knows, not {kind} ({name})")
        given = {pin: self._word(pins[pin], words, name) for pin in _read(cell)}
        age = _age({word.age for word in given.values()}, name)
        if kind == _REGISTER:
            outcome, wires = Aged(given["D"].term, None if age is None else age + 1), pins["Q"]
        else:
            wires = pins["Y"]
            signed = {pin: cell["parameters"].get(f"{pin}_SIGNED", "0").endswith("1") for pin in ("A", "B")}
            terms = {pin: word.term for pin, word in given.items()}
            outcome = Aged(_CELLS[kind](self._bits, terms, signed, len(wires)), age)
        for index, wire in enumerate(wires):
            words[wire] = (outcome, index)


class FeedForward(Circuit):
    """A circuit whose registers only delay: every word belongs to the inputs of one cycle.

    Each register adds a cycle, and no place may mix inputs of different cycles. Then what the registers were at first
    has no say in an output after its latency, and an equation of terms holds for the circuit in every cycle.

    Parameters
    ----------
    bits : Bits
    verilog, top : str
    """

    def __init__(self, bits: Bits, verilog: str, top: str) -> None:
        super().__init__(bits, netlist(verilog, top, _SCRIPT))


def _age(ages: set[int | None], place: str) -> int | None:
    """The one age of what meets at a place; constants have none."""
    found = sorted(age for age in ages if age is not None)
    if len(found) > 1:
        raise NotFeedForwardError(f"Inputs of {' and '.join(map(str, found))} cycles before meet at {place}")
    return found[0] if found else None


def _follows(found: tuple[Aged, int] | None, word: Aged, index: int) -> bool:
    return found is not None and found[0] is word and found[1] == index


def _read(cell: Mapping[str, Any]) -> list[str]:
    """Pins of what a cell takes in, the clock left out."""
    return [pin for pin, way in cell["port_directions"].items() if way == "input" and pin != "CLK"]


def _inputs(cell: Mapping[str, Any]) -> list[Any]:
    return [wire for pin in _read(cell) for wire in cell["connections"][pin]]


_Cell = Callable[[Bits, Mapping[str, Term], Mapping[str, bool], int], Term]


def _binary(kind: Kind) -> _Cell:
    """An operation on two words as wide as the result."""

    def term(bits: Bits, given: Mapping[str, Term], signed: Mapping[str, bool], width: int) -> Term:
        both = signed["A"] and signed["B"]
        return bits.of(kind, *(bits.resized(given[pin], width, signed=both) for pin in ("A", "B")))

    return term


def _unary(kind: Kind | None) -> _Cell:
    def term(bits: Bits, given: Mapping[str, Term], signed: Mapping[str, bool], width: int) -> Term:
        word = bits.resized(given["A"], width, signed=signed["A"])
        return word if kind is None else bits.of(kind, word)

    return term


def _compared(unsigned_kind: Kind, signed_kind: Kind) -> _Cell:
    def term(bits: Bits, given: Mapping[str, Term], signed: Mapping[str, bool], width: int) -> Term:
        both, widest = signed["A"] and signed["B"], max(size(given["A"]), size(given["B"]))
        words = (bits.resized(given[pin], widest, signed=both) for pin in ("A", "B"))
        return bits.bit(bits.of(signed_kind if both else unsigned_kind, *words), width)

    return term


def _shifted(kind: Kind, arithmetic: Kind | None = None) -> _Cell:
    """Shifts by an unsigned number, of a word that is at least as wide as the result."""

    def term(bits: Bits, given: Mapping[str, Term], signed: Mapping[str, bool], width: int) -> Term:
        if signed["B"]:
            raise NotFeedForwardError("Shifts must be by unsigned numbers")
        own = max(width, size(given["A"]))
        widest = max(own, size(given["B"]))
        fills = arithmetic is not None and signed["A"]
        word = bits.resized(bits.resized(given["A"], own, signed=signed["A"]), widest, signed=fills)
        by = bits.resized(given["B"], widest, signed=False)
        return bits.resized(bits.of(arithmetic if arithmetic and fills else kind, word, by), width, signed=False)

    return term


def _reduced(of: Callable[[Bits, Term], Term]) -> _Cell:
    """A Boolean of the bits of one word."""
    return lambda bits, given, _signed, width: bits.bit(of(bits, given["A"]), width)


def _logic(kind: Kind) -> _Cell:
    def term(bits: Bits, given: Mapping[str, Term], _signed: Mapping[str, bool], width: int) -> Term:
        return bits.bit(bits.of(kind, bits.is_set(given["A"]), bits.is_set(given["B"])), width)

    return term


def _multiplexer(bits: Bits, given: Mapping[str, Term], _signed: Mapping[str, bool], _width: int) -> Term:
    return bits.choice(bits.is_set(given["S"]), given["B"], given["A"])


def _multiplexers(bits: Bits, given: Mapping[str, Term], _signed: Mapping[str, bool], width: int) -> Term:
    """One of several words, of which at most one is chosen."""
    found = given["A"]
    for index in range(size(given["S"])):
        chosen = bits.is_set(bits.slice(given["S"], index, 1))
        found = bits.choice(chosen, bits.slice(given["B"], index * width, width), found)
    return found


_CELLS: dict[str, _Cell] = {
    "$add": _binary(Kind.BV_ADD),
    "$sub": _binary(Kind.BV_SUB),
    "$mul": _binary(Kind.BV_MUL),
    "$and": _binary(Kind.BV_AND),
    "$or": _binary(Kind.BV_OR),
    "$xor": _binary(Kind.BV_XOR),
    "$xnor": _binary(Kind.BV_XNOR),
    "$not": _unary(Kind.BV_NOT),
    "$neg": _unary(Kind.BV_NEG),
    "$pos": _unary(None),
    "$eq": _compared(Kind.EQUAL, Kind.EQUAL),
    "$ne": _compared(Kind.DISTINCT, Kind.DISTINCT),
    "$lt": _compared(Kind.BV_ULT, Kind.BV_SLT),
    "$le": _compared(Kind.BV_ULE, Kind.BV_SLE),
    "$gt": _compared(Kind.BV_UGT, Kind.BV_SGT),
    "$ge": _compared(Kind.BV_UGE, Kind.BV_SGE),
    "$shl": _shifted(Kind.BV_SHL),
    "$sshl": _shifted(Kind.BV_SHL),
    "$shr": _shifted(Kind.BV_SHR),
    "$sshr": _shifted(Kind.BV_SHR, Kind.BV_ASHR),
    "$reduce_or": _reduced(Bits.is_set),
    "$reduce_bool": _reduced(Bits.is_set),
    "$reduce_and": _reduced(lambda bits, word: bits.of(Kind.EQUAL, word, bits.constant(-1, size(word)))),
    "$reduce_xor": _reduced(lambda bits, word: bits.is_set(bits.of(Kind.BV_REDXOR, word))),
    "$logic_not": _reduced(lambda bits, word: bits.of(Kind.NOT, bits.is_set(word))),
    "$logic_and": _logic(Kind.AND),
    "$logic_or": _logic(Kind.OR),
    "$mux": _multiplexer,
    "$pmux": _multiplexers,
}
"""What cells of Yosys give out, of their inputs' words and signs and the width of the output."""
