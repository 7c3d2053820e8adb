"""The finding: the smallest way to multiply an int8 activation by a weight of so many bits, tables or adders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from typing import ClassVar

from dataflow.engine import Tiling
from dataflow.mesh import Shape
from fpga.families import FAMILIES as FPGA_FAMILIES
from fpga.families import find
from fpga.synth import synthesize
from hw.verilog import emit_verilog
from macforge.design import Design
from pe import FAMILIES

__all__ = ["CANDIDATES", "Candidate", "Finding", "entries", "measure"]

# Cells each way of the array, and inputs of the look-up tables that some families' cells are made for.
_CELLS = 8
_LUT_INPUTS = {"xc7": 6, "ecp5": 4}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to multiply, with the weights that it can do.

    Parameters
    ----------
    kind : {"adders", "tables", "counts of bits"}
        What its cells are made of.
    family : str
        A key of `pe.FAMILIES`.
    weights : dict of str to str
        Formats, by what they stand for: a number of bits, or ``"ternary"``. The same bits are read as integers, or as
        odd ones (bipolar, the codebooks but nf4), which differs by a factor and a zero point.
    options : dict
        The family's own parameters.
    act : str
        Format of the activations; ``uint1`` if they come in planes of bits.
    lanes : int
        Products that a cell forms in a step.
    """

    kind: str
    family: str
    weights: Mapping[str, str]
    options: Mapping[str, object] = field(default_factory=dict)
    act: str = "int8"
    lanes: int = 8

    def label(self, weight: str) -> str:
        """What it is, such as ``table bipolar2 k=4``."""
        return " ".join([self.family, self.weights[weight], *(f"{key}={value}" for key, value in self.options.items())])

    def steps(self, weight: str) -> int:
        """Products of planes that one product of an 8-bit activation takes; 1 if operands come whole."""
        return 8 * int(weight) if self.act == "uint1" else 1

    def design(self, weight: str, fpga: str) -> Design:
        """What is measured: weight-stationary, with accumulators for the default `Tiling.max_k`."""
        fitted = {"lut": _LUT_INPUTS[fpga]} if "lut" in FAMILIES[self.family].options() else {}
        return Design(
            name=self.family,
            family=self.family,
            act=self.act,
            weight=self.weights[weight],
            lanes=self.lanes,
            array=Shape(rows=_CELLS, cols=_CELLS),
            dataflow="weight_stationary",
            options={**self.options, **fitted},
        )


def _of(form: str, *bits: int) -> dict[str, str]:
    return {str(width): form.format(width) for width in bits}


_ODD = {"1": "codebook[-1,1]", "2": "codebook[-3,-1,1,3]", "3": "codebook[-7,-5,-3,-1,1,3,5,7]"}

CANDIDATES = (
    Candidate(kind="adders", family="mac", weights={"1": "uint1", **_of("int{}", 2, 3, 4, 8)}),
    Candidate(kind="adders", family="shift_add", weights=_of("int{}", 2, 3, 4, 8)),
    Candidate(kind="adders", family="shift_add", weights={"1": "ternary", "ternary": "ternary"}),
    Candidate(kind="adders", family="shift_add", weights=_of("pot{}", 3, 4)),
    Candidate(kind="adders", family="decoded", weights={**_ODD, "4": "nf4"}),
    Candidate(kind="tables", family="table", weights=_of("bipolar{}", 1, 2, 3, 4, 8), options={"k": 2}),
    Candidate(kind="tables", family="table", weights=_of("bipolar{}", 1, 2, 3, 4), options={"k": 4}),
    Candidate(kind="tables", family="ternary_table", weights={"ternary": "ternary"}, options={"k": 2}),
    Candidate(kind="counts of bits", family="bit_serial", weights=_of("uint1", 1, 2, 3, 4, 8), act="uint1", lanes=64),
)
"""What competes, with 8 products a cell and cycle; bits with 64, which are 8 products of an int8 and one bit.

What is larger by its making is left out: signed digits by recoding ``csd``, a row for each bit where ``booth4`` has one
for two, and ternary tables of 4 activations, of 40 entries.
"""


def entries(candidates: Sequence[Candidate] = CANDIDATES) -> list[tuple[Candidate, str]]:
    """Each candidate with each of its weights, the narrowest weights first."""
    pairs = [(candidate, weight) for candidate in candidates for weight in candidate.weights]
    return sorted(pairs, key=lambda pair: _order(pair[1]))


def _order(weight: str) -> float:
    return log2(3) if weight == "ternary" else float(weight)


def measure(entry: tuple[Candidate, str], fpga: str) -> dict[str, float]:
    """LUT-equivalents and flip-flops of an array, edges included, for each product a cycle.

    Products of planes count as one product together, which leaves out how they are weighted and added: the drain edge
    does that, once a column.
    """
    candidate, weight = entry
    array = candidate.design(weight, fpga).engine.array
    found = synthesize(emit_verilog(array), top=array.name, family=fpga).resources
    products = _CELLS * _CELLS * candidate.lanes / candidate.steps(weight)
    return {f"{fpga}_lut": found.lut / products, f"{fpga}_ff": found.ff / products}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Which candidate is the smallest.

    Parameters
    ----------
    rows : list of dict
        For each entry ``weight``, ``kind``, ``way``, and for each FPGA family what `measure` says.
    """

    COLUMNS: ClassVar[dict[str, str]] = {
        "weight": "weight bits",
        "kind": "kind",
        "way": "cell",
        "xc7_lut": "xc7 LUT/product",
        "xc7_ff": "xc7 FF/product",
        "ecp5_lut": "ECP5 LUT/product",
        "ecp5_ff": "ECP5 FF/product",
    }
    CONDITIONS: ClassVar[str] = (
        f"All are weight-stationary arrays of {_CELLS} x {_CELLS} cells, with their edges, for int8 activations and K "
        f"up to {Tiling().max_k}, without DSP blocks. A cell forms 8 products a cycle; bit_serial forms 64 of bits, "
        "and its product is all those of its planes, which are weighted and added outside. Integers, bipolar and "
        "codebooks of odd integers are the same bits read in different ways, equal up to a factor and a zero point, "
        "which are outside too; ternary cells also take 1-bit weights. nf4 and pot stand for other values."
    )

    rows: list[dict[str, object]]

    @property
    def weights(self) -> list[str]:
        """Every weight, the narrowest first."""
        return list(dict.fromkeys(row["weight"] for row in self.rows))

    def best(self, weight: str, fpga: str) -> list[dict[str, object]]:
        """The row of each kind with the fewest LUT-equivalents, the smallest first."""
        best: dict[str, dict[str, object]] = {}
        for row in sorted(self.rows, key=lambda row: row[f"{fpga}_lut"]):
            if row["weight"] == weight:
                best.setdefault(row["kind"], row)
        return list(best.values())

    def is_smallest(self, row: Mapping[str, object], column: str) -> bool:
        """Whether the column is of LUT-equivalents, and no other way takes fewer for that weight."""
        fpga, _, what = column.rpartition("_")
        return what == "lut" and row[column] == self.best(row["weight"], fpga)[0][column]

    @property
    def summary(self) -> list[str]:
        """A sentence for each FPGA family: which kind wins at which weight."""
        sentences = []
        for fpga in FPGA_FAMILIES:
            won: dict[str, list[str]] = {}
            for weight in self.weights:
                kinds = [row["kind"] for row in self.best(weight, fpga) if self.is_smallest(row, f"{fpga}_lut")]
                won.setdefault(_listed(kinds), []).append(_title(weight))
            parts = [f"{kinds} are the smallest for {_listed(weights)} weights" for kinds, weights in won.items()]
            sentences.append(f"On {find(fpga).title}, {'; '.join(parts)}.")
        return sentences

    @property
    def details(self) -> list[str]:
        """A sentence for each weight: what is the smallest, and how much more the other kinds take."""
        sentences = []
        for weight in self.weights:
            parts = [self._detail(weight, fpga) for fpga in FPGA_FAMILIES]
            sentences.append(f"{_title(weight).capitalize()} weights: {'; '.join(parts)}.")
        return sentences

    def _detail(self, weight: str, fpga: str) -> str:
        first, *others = self.best(weight, fpga)
        key = f"{fpga}_lut"
        rest = [f"{row['kind']} {row[key] / first[key]:.2f} times that ({row['way']})" for row in others]
        return ", ".join([f"on {find(fpga).title}, {first['kind']} take {first[key]:.1f} LUT ({first['way']})", *rest])

    def to_table(self) -> dict[str, object]:
        """Everything as plain data."""
        return {"rows": self.rows, "summary": self.summary, "details": self.details}


def _title(weight: str) -> str:
    return weight if weight == "ternary" else f"{weight}-bit"


def _listed(items: Sequence[str]) -> str:
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
