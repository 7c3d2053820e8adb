"""Draws the block diagram of one design: `python -m docs.figures.architecture` writes architecture.svg.

Every width, count and latency is read from the design.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from macforge import Design, load_design
from macforge.design.describe import derived, ports

__all__ = ["DESIGN", "PATH", "draw", "main", "payload_bits"]

DESIGN = "mixpe_w4a8"
PATH = Path(__file__).with_suffix(".svg")

_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1040 478" role="img">
<style>
  text { font: 12px system-ui, sans-serif; fill: #222 }
  .title { font-weight: 600; font-size: 14px }
  .box { fill: #eef3fa; stroke: #35588a; stroke-width: 1.3 }
  .cell { fill: #fff; stroke: #9db4d4 }
  .wire { stroke: #222; stroke-width: 1.5; fill: none; marker-end: url(#tip) }
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">\
<path d="M0,0 8,4 0,8z" fill="#222"/></marker></defs>
<rect width="100%" height="100%" fill="#fff"/>
"""


@dataclass(frozen=True)
class _Box:
    """A block: its place, its title, and lines of text below the title."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: Sequence[str] = ()

    def svg(self) -> str:
        shape = f'<rect class="box" x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="6"/>'
        texts = [_text(self.x + 10, self.y + 22, self.title, "title")]
        texts += [_text(self.x + 10, self.y + 42 + 17 * index, line) for index, line in enumerate(self.lines)]
        return "\n".join([shape, *texts])


def _text(x: int, y: int, text: str, kind: str = "") -> str:
    return f'<text x="{x}" y="{y}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>{escape(text)}</text>'


def _wire(*points: tuple[int, int], label: str = "", at: tuple[int, int] = (0, 0)) -> str:
    path = f'<path class="wire" d="M{" L".join(f"{x},{y}" for x, y in points)}"/>'
    return path + ("\n" + _text(*at, label) if label else "")


def _cells(box: _Box, rows: int, cols: int) -> str:
    """A square for each cell, below the text of the box."""
    top, side = box.y + 108, min(16, 176 // cols, 128 // rows)
    left = box.x + (box.width - side * cols) // 2
    return "\n".join(
        f'<rect class="cell" x="{left + side * col}" y="{top + side * row}" width="{side}" height="{side}"/>'
        for row in range(rows)
        for col in range(cols)
    )


def _cycles(count: int) -> str:
    return f"{count} cycle{'' if count == 1 else 's'}"


def draw(design: Design) -> str:
    """The diagram of a design with a drain edge, as SVG."""
    if design.edge is None:
        raise ValueError(f"Design must have a drain edge to be drawn, not {design.name}")
    known, bits, shape = derived(design), payload_bits(design), design.array
    boxes = _boxes(design, known)
    row_bits, column_bits = shape.rows * known["row_operand_bits"], shape.cols * known["column_operand_bits"]
    parts = [f"<title>Block diagram of {escape(design.name)}</title>", *(box.svg() for box in boxes.values())]
    parts += [
        _cells(boxes["array"], shape.rows, shape.cols),
        _wire((12, 252), (150, 252), label=f"act, {bits['act']} bits", at=(14, 244)),
        _wire((300, 252), (364, 252), label=f"{bits['act']} bits", at=(302, 244)),
        _wire((504, 252), (566, 252), label=f"{row_bits} bits", at=(508, 244)),
        _wire((12, 50), (566, 50), label=f"weight, {bits['weight']} bits", at=(14, 42)),
        _wire((666, 86), (666, 130), label=f"{column_bits} bits", at=(674, 112)),
        _wire((12, 427), (150, 427), label=f"command, {bits['command']} bits", at=(14, 419)),
        _wire((225, 396), (225, 308)),
        _wire((504, 427), (666, 427), (666, 380)),
        _wire((766, 220), (822, 220), label=f"{shape.cols} sums", at=(768, 212)),
        _wire((1004, 160), (1034, 160)),
        _text(930, 118, f"result, {bits['result']} bits"),
    ]
    for index, name in enumerate(known["drain_fields"]):
        x, y = 870 - 20 * index, 350 + 24 * index
        parts.append(_wire((x, y), (x, 310), label=f"{name}, {bits[name]} bits", at=(x + 8, y)))
    return _HEAD + "\n".join(parts) + "\n</svg>\n"


def payload_bits(design: Design) -> dict[str, int]:
    """Width of the payload of each stream."""
    bits: dict[str, int] = {}
    for port in ports(design.engine):
        name, _, part = port["name"].partition("__")
        if part.startswith("payload"):
            bits[name] = bits.get(name, 0) + port["bits"]
    return bits


def _boxes(design: Design, known: Mapping[str, Any]) -> dict[str, _Box]:
    pe, shape = design.pe, design.array
    lanes = min(design.tiling.drain_lanes or shape.cols, shape.cols)
    panel = [f"{known['panel_rows']} rows of A", f"K up to {design.tiling.max_k}", f"{design.act} codes", "two banks"]
    row = [f"{known['row_operand_bits']}-bit operand", _cycles(pe.row_encoder(masked=True).latency)]
    column = [f"{known['column_operand_bits']}-bit operand", _cycles(pe.column_encoder().latency)]
    array = [
        f"{design.family}, {design.dataflow}".replace("_", "-"),
        f"{design.lanes} products a cell and cycle",
        f"{known['accumulator_bits']}-bit sums",
        f"cell {_cycles(known['cell_latency'])}, array {_cycles(known['array_latency'])}",
    ]
    fields = [f"{kind}: {', '.join(names)}" for kind, names in known["drain_fields"].items()]
    drain = [f"{lanes} of {shape.cols} columns a cycle", _cycles(known["drain_latency"]), *fields, "result FIFO"]
    return {
        "panel": _Box(150, 196, 150, 112, "Panel buffer", panel),
        "rows": _Box(364, 196, 140, 112, f"{shape.rows} row encoders", row),
        "columns": _Box(566, 14, 200, 72, f"{shape.cols} column encoders", column),
        "array": _Box(566, 130, 200, 250, f"{shape.rows} x {shape.cols} cells", array),
        "drain": _Box(822, 130, 182, 180, "Drain edge", drain),
        "control": _Box(150, 396, 354, 62, "Control", ["sizes of the product; row, column and K counters"]),
    }


def main() -> None:
    """Write the diagram of `DESIGN`."""
    PATH.write_text(draw(load_design(DESIGN)), encoding="utf-8")


if __name__ == "__main__":
    main()
