"""Names for the nets of a mapped module: those of the portable module as far as they go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby
from typing import Any

from fpga.map.truth import Net

__all__ = ["Names"]


class Names:
    """Which bit of which vector each net is.

    Parameters
    ----------
    ports, netnames
        Of the module, as Yosys's ``write_json`` wrote them.
    declared
        Names that the portable module has for its nets; Yosys's own, which the netlist has besides, say little.
    carries
        Those from one carry cell into the next, lowest first.
    driven
        Outputs of cells, those among them.
    registers
        Outputs of registers.
    constants
        Nets that are constant, and their values.
    """

    def __init__(
        self,
        *,
        ports: Mapping[str, Any],
        netnames: Mapping[str, Any],
        declared: frozenset[str],
        carries: Sequence[Net],
        driven: Sequence[Net],
        registers: Sequence[Net],
        constants: Mapping[Net, Net],
    ) -> None:
        self._ports, self._constants = ports, constants
        self._places: dict[Net, tuple[str, int]] = {}
        self._widths: dict[str, tuple[int, int]] = {}
        self._taken = {*declared, *ports}
        self._clocked: set[str] = set()
        clocked = frozenset(registers)
        for name, port in ports.items():
            if port["direction"] == "input":
                self._take(name, port["bits"])
                self._widths[name] = 0, len(port["bits"]) - 1
        inputs = set(self._places)
        combinational = frozenset(driven) - inputs
        outputs = [name for name, port in ports.items() if port["direction"] == "output"]
        names = [*outputs, *sorted((declared & {*netnames}) - {*ports})]
        for name in names:
            bits = ports[name]["bits"] if name in ports else netnames[name]["bits"]
            kinds = [kind for kind in (clocked, combinational) if self._is_whole(bits, name in ports, kind)]
            if kinds:
                self._take(name, [bit if bit in kinds[0] else "x" for bit in bits])
            if kinds == [clocked]:
                self._clocked.add(name)
        for name in outputs:
            self._widths.setdefault(name, (0, len(ports[name]["bits"]) - 1))
        self._rest("q", [bit for bit in registers if bit not in self._places], is_clocked=True)
        self._rest("c", [bit for bit in carries if isinstance(bit, int) and bit not in self._places])
        self._rest("n", [bit for bit in driven if isinstance(bit, int) and bit not in self._places])

    def _is_whole(self, bits: Sequence[Net], is_port: bool, kind: frozenset[Net]) -> bool:
        """Whether a name can stand for all of its bits that anything drives, and these are of one kind."""
        fresh = [bit in kind and bit not in self._places for bit in bits]
        live = [bit for bit, is_fresh in zip(bits, fresh, strict=True) if is_fresh]
        low, high = (fresh.index(True), len(fresh) - fresh[::-1].index(True)) if live else (0, 0)
        return bool(live) and len({*live}) == high - low and (not is_port or high - low == len(bits))

    def _take(self, name: str, bits: Sequence[Net]) -> None:
        fresh = [index for index, bit in enumerate(bits) if isinstance(bit, int) and bit not in self._places]
        for index in fresh:
            self._places[bits[index]] = name, index
        if fresh:
            self._widths[name] = fresh[0], fresh[-1]

    def _rest(self, stem: str, bits: Sequence[Net], *, is_clocked: bool = False) -> None:
        """Give what has no name yet one that is not taken."""
        name = self.fresh(stem)
        self._taken.add(name)
        self._take(name, list(dict.fromkeys(bits)))
        if is_clocked:
            self._clocked.add(name)

    def fresh(self, stem: str) -> str:
        """``stem``, or ``stem`` with underscores behind it, so that it is the name of no net."""
        return next(each for each in (stem + "_" * more for more in count()) if each not in self._taken)

    def is_used(self, bit: Net) -> bool:
        """Whether a net has a name."""
        return bit in self._places

    def declarations(self) -> Iterator[str]:
        """Ports, then all other nets."""
        for name in [*self._ports, *(name for name in self._widths if name not in self._ports)]:
            low, high = self._widths[name]
            spelled = f"[{high}:{low}] {name}" if high or self._is_vector(name) else name
            kind = "reg" if name in self._clocked else "" if name in self._ports else "wire"
            direction = self._ports[name]["direction"] if name in self._ports else ""
            yield "  " + " ".join(filter(None, (direction, kind, spelled))) + ";"

    def aliases(self) -> Iterator[tuple[str, list[Net]]]:
        """Outputs that are other nets or constant: the port, and what its bits are."""
        for name, port in self._ports.items():
            if port["direction"] == "output" and any(self._places.get(bit, ("",))[0] != name for bit in port["bits"]):
                yield name, port["bits"]

    def _is_vector(self, name: str) -> bool:
        return name in self._ports and len(self._ports[name]["bits"]) > 1

    def words(self, bits: Iterable[Net]) -> list[list[Net]]:
        """The bits of each vector among ``bits``, in runs from low to high."""
        placed = sorted((self._places[bit], bit) for bit in bits)
        runs = groupby(enumerate(placed), lambda each: (each[1][0][0], each[1][0][1] - each[0]))
        return [[bit for _index, (_place, bit) in run] for _key, run in runs]

    def word(self, bits: Sequence[Net]) -> str:
        """Verilog for some nets, the lowest first."""
        parts = [list(run) for run in _runs([self._place(bit) for bit in bits])]
        spelled = [self._spelled(part) for part in reversed(parts)]
        return spelled[0] if len(spelled) == 1 else f"{{{', '.join(spelled)}}}"

    def _place(self, bit: Net) -> tuple[str, int]:
        bit = self._constants.get(bit, bit)
        # what is left open does not matter
        return self._places[bit] if bit in self._places else ("", int(bit == "1"))

    def _spelled(self, run: Sequence[tuple[str, int]]) -> str:
        name, low = run[0]
        if not name:
            bits = "".join(str(value) for _name, value in reversed(run))
            return f"{len(run)}'b{bits if '1' in bits else '0'}"
        first, last = self._widths[name]
        high = run[-1][1]
        if high == low and len(run) > 1:
            return f"{{{len(run)}{{{self._spelled(run[:1])}}}}}"
        if (low, high) == (first, last):
            return name
        return f"{name}[{high}:{low}]" if high > low else f"{name}[{low}]"


def _runs(places: Sequence[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Neighbours that one expression names: constants, bits that ascend, and one bit many times."""
    run: list[tuple[str, int]] = []
    for place in places:
        name, index = place
        if run:
            is_same = run[-1] == place and run[0] == place
            ascends = run[-1] == (name, index - 1) and (len(run) == 1 or run[-2] == (name, index - 2))
            if run[-1][0] == name and (not name or is_same or ascends):
                run.append(place)
                continue
            yield run
        run = [place]
    yield from [run] if run else []
