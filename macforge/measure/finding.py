"""The finding: which ways to multiply are the smallest, tables or adders, integer cells or float cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataflow.array.shape import Shape
from fpga.map.synth import synthesize
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design
from macforge.measure.area import fitted
from macforge.measure.comparison import Comparison, Question

__all__ = ["CANDIDATES", "Candidate", "Finding", "answer", "entries", "measure"]

_WEIGHTS = Question(
    name="weights",
    title="The smallest way to multiply",
    column="weight bits",
    noun="weights",
    operands={"1": "1-bit", "ternary": "ternary", "2": "2-bit", "3": "3-bit", "4": "4-bit", "8": "8-bit"},
    cells=8,
    remarks=(
        "Activations are int8. A cell forms 8 products a cycle; bit_serial forms 64 of bits, and its product is all "
        "those of its planes, which are weighted and added outside. Integers, bipolar and codebooks of odd integers "
        "are the same bits read in different ways, equal up to a factor and a zero point, which are outside too; "
        "ternary cells also take 1-bit weights. nf4 and pot stand for other values."
    ),
)
_FORMS = Question(
    name="forms",
    title="Integer cells or float cells",
    column="format",
    noun="operands",
    operands={name: name for name in ("E2M1", "E2M3", "E3M2", "posit(8,0)", "E4M3")},
    cells=4,
    remarks=(
        "Activations and weights are of the same format. A cell forms 4 products a cycle; sums are exact, in the same "
        "fixed point. Integer cells get operands as integers in units of the last bit, decoded at the edges, or look "
        "products up; float cells multiply significands, add exponents, and shift."
    ),
)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to multiply, with the weights that it can do.

    Parameters
    ----------
    question : Question
        In which it competes.
    kind : str
        What its cells are, in the plural.
    family : str
        A key of `pe.FAMILIES`.
    weights : dict of str to str
        Formats, by the question's operands that they stand for. The same bits are read as integers, or as odd ones
        (bipolar, the codebooks but nf4), which differs by a factor and a zero point.
    options : dict
        The family's own parameters.
    act : str
        Format of the activations; ``uint1`` if they come in planes of bits, empty if it is that of the weights.
    lanes : int
        Products that a cell forms in a step.
    """

    question: Question = _WEIGHTS
    kind: str
    family: str
    weights: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
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
        design = Design(
            name=self.family,
            family=self.family,
            act=self.act or self.weights[weight],
            weight=self.weights[weight],
            lanes=self.lanes,
            array=Shape(rows=self.question.cells, cols=self.question.cells),
            dataflow="weight_stationary",
            options=self.options,
        )
        return fitted(design, fpga)


def _of(form: str, *bits: int) -> dict[str, str]:
    return {str(width): form.format(width) for width in bits}


_ODD = {"1": "codebook[-1,1]", "2": "codebook[-3,-1,1,3]", "3": "codebook[-7,-5,-3,-1,1,3,5,7]"}

_FORMATS = {
    "E2M1": "fp4_e2m1",
    "E2M3": "fp6_e2m3",
    "E3M2": "fp6_e3m2",
    "posit(8,0)": "posit8_0",
    "E4M3": "fp8_e4m3",
}


def _form(kind: str, family: str, weights: Mapping[str, str], **options: object) -> Candidate:
    return Candidate(question=_FORMS, kind=kind, family=family, weights=weights, options=options, act="", lanes=4)


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
    _form("integer cells", "product_table", {"E2M1": "fp4_e2m1"}),
    _form("integer cells", "decoded", _FORMATS, cell="shift_add"),
    _form("float cells", "float", _FORMATS),
)
"""What competes, of weights with 8 products a cell and cycle; bits with 64, which are 8 products of an int8 and a bit.

What is larger by its making is left out: a row for each bit where ``booth4`` has one for two, as recoding ``csd`` and
``mac`` of decoded integers have, and ternary tables of 4 activations, of 40 entries.
"""


def entries(candidates: Sequence[Candidate] = CANDIDATES) -> list[tuple[Candidate, str]]:
    """Each candidate with each of its weights: in the order of questions, and of a question's operands."""
    questions = dict.fromkeys(candidate.question for candidate in candidates)
    return [
        (candidate, operand)
        for question in questions
        for operand in question.operands
        for candidate in candidates
        if candidate.question is question and operand in candidate.weights
    ]


def measure(entry: tuple[Candidate, str], fpga: str) -> dict[str, float]:
    """LUT-equivalents and flip-flops of an array, edges included, for each product a cycle.

    Products of planes count as one product together, which leaves out how they are weighted and added: the drain edge
    does that, once a column.
    """
    candidate, weight = entry
    array = candidate.design(weight, fpga).engine.array
    found = synthesize(emit_verilog(array), top=array.name, family=fpga).resources
    products = candidate.question.cells**2 * candidate.lanes / candidate.steps(weight)
    return {f"{fpga}_lut": found.lut / products, f"{fpga}_ff": found.ff / products}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answers to all questions.

    Parameters
    ----------
    comparisons : list of Comparison
        One for each question.
    """

    comparisons: list[Comparison]

    @property
    def summary(self) -> list[str]:
        """The sentences of all comparisons."""
        return [sentence for comparison in self.comparisons for sentence in comparison.summary]

    def to_table(self) -> dict[str, Any]:
        """Everything as plain data, by the names of questions."""
        return {comparison.question.name: comparison.to_table() for comparison in self.comparisons}


def answer(ways: Sequence[tuple[Candidate, str]], figures: Sequence[Mapping[str, float]]) -> Finding | None:
    """What the figures that `measure` gave of every way, for both FPGA families, come to; None without any."""
    rows: dict[Question, list[dict[str, Any]]] = {}
    for (one, operand), measured in zip(ways, figures, strict=True):
        row = {"operand": operand, "kind": one.kind, "way": one.label(operand), **measured}
        rows.setdefault(one.question, []).append(row)
    comparisons = [Comparison(question=question, rows=rows[question]) for question in rows]
    return Finding(comparisons=comparisons) if comparisons else None
