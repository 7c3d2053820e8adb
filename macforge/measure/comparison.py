"""A question of which way to multiply is the smallest, and its answer out of figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataflow.engine.tiling import Tiling
from fpga.families import COMPARED, find

__all__ = ["Comparison", "Question"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """What is asked of candidates, of each kind of operands.

    Parameters
    ----------
    name : str
        Its key in the report's JSON.
    title : str
        Its heading.
    column, noun : str
        Operands as the title of a column, and in a sentence.
    operands : dict of str to str
        What they are in a sentence, by their short names, in the order in which they are shown.
    cells : int
        Cells each way of the arrays.
    remarks : str
        What else is to be known about candidates, for people.
    """

    name: str
    title: str
    column: str
    noun: str
    operands: Mapping[str, str]
    cells: int
    remarks: str

    @property
    def conditions(self) -> str:
        """How candidates are measured, for people."""
        return (
            f"All are weight-stationary arrays of {self.cells} x {self.cells} cells, with their edges, for K up to "
            f"{Tiling().max_k}, without DSP blocks. {self.remarks}"
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Which candidate is the smallest, for each of a question's operands.

    Parameters
    ----------
    question : Question
    rows : list of dict
        For each entry ``operand``, ``kind``, ``way``, and for each FPGA family what `measure` says.
    """

    question: Question
    rows: list[dict[str, Any]]

    @property
    def columns(self) -> dict[str, str]:
        """What of the rows is shown: key to title."""
        figures = {f"{fpga}_{what}": f"{fpga} {what.upper()}/product" for fpga in COMPARED for what in ("lut", "ff")}
        return {"operand": self.question.column, "kind": "kind", "way": "cell", **figures}

    @property
    def operands(self) -> list[str]:
        """Every operand that was measured, in order."""
        return list(dict.fromkeys(row["operand"] for row in self.rows))

    def best(self, operand: str, fpga: str) -> list[dict[str, Any]]:
        """The row of each kind with the fewest LUT-equivalents, the smallest first."""
        best: dict[str, dict[str, Any]] = {}
        for row in sorted(self.rows, key=lambda row: row[f"{fpga}_lut"]):
            if row["operand"] == operand:
                best.setdefault(row["kind"], row)
        return list(best.values())

    def is_smallest(self, row: Mapping[str, Any], column: str) -> bool:
        """Whether the column is of LUT-equivalents, and no other way takes fewer for that operand."""
        fpga, _, what = column.rpartition("_")
        return what == "lut" and row[column] == self.best(row["operand"], fpga)[0][column]

    @property
    def summary(self) -> list[str]:
        """A sentence for each FPGA family: which kind wins at which operand."""
        sentences = []
        for fpga in COMPARED:
            won: dict[str, list[str]] = {}
            for operand in self.operands:
                kinds = [row["kind"] for row in self.best(operand, fpga) if self.is_smallest(row, f"{fpga}_lut")]
                won.setdefault(_listed(kinds), []).append(self.question.operands[operand])
            parts = [
                f"{kinds} are the smallest for {_listed(operands)} {self.question.noun}"
                for kinds, operands in won.items()
            ]
            sentences.append(f"On {find(fpga).title}, {'; '.join(parts)}.")
        return sentences

    @property
    def details(self) -> list[str]:
        """A sentence for each operand: what is the smallest, and how much more the other kinds take."""
        sentences = []
        for operand in self.operands:
            title = f"{self.question.operands[operand]} {self.question.noun}"
            parts = [self._detail(operand, fpga) for fpga in COMPARED]
            sentences.append(f"{title[0].upper()}{title[1:]}: {'; '.join(parts)}.")
        return sentences

    def _detail(self, operand: str, fpga: str) -> str:
        first, *others = self.best(operand, fpga)
        key = f"{fpga}_lut"
        rest = [f"{row['kind']} {row[key] / first[key]:.2f} times that ({row['way']})" for row in others]
        return ", ".join([f"on {find(fpga).title}, {first['kind']} take {first[key]:.1f} LUT ({first['way']})", *rest])

    def to_table(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {"rows": self.rows, "summary": self.summary, "details": self.details}


def _listed(items: Sequence[str]) -> str:
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
