"""The tile that the firmware computes, in C: memory, descriptor and expected results.

The tile is the first 16 tokens and the first 16 columns of the first feed-forward layer of all-MiniLM-L6-v2, with all
of K. `python -m examples.litex.tile DESIGN --output FOLDER` writes it, from the folder above `examples`.
"""

import argparse
from pathlib import Path

import numpy as np

from macforge import Design, load_design
from macforge.compile.compiler import compile_layer
from macforge.measure.workload import load_layer
from macforge.run.job import job_of
from sw_ref.accelerator.descriptor import DESCRIPTOR, INTERRUPT
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.engine.product import Product, expected_results

__all__ = ["BASE", "COLS", "ROWS", "first_tile", "tile_sources"]

ROWS, COLS = 16, 16
"""Tokens and columns of the tile."""

BASE = 0x4010_0000
"""Where it lies: 1 MiB above the first address of LiteX's main memory."""

# Descriptors of the ring.
_RING = 4
_WORDS_PER_LINE = 8


def first_tile(design: Design) -> Product:
    """The tile as the design's engine is given it.

    Raises
    ------
    ValueError
        If the design computes the tile in several products, or with several results for each element.
    """
    layer = load_layer(tokens=ROWS)
    program = compile_layer(design, layer.weight[:, :COLS], calibration=layer.act)
    products = job_of(program, layer.act).products
    results = sum(product.schedule(design.engine.spec).results for product in products)
    if results != 1:
        raise ValueError(f"Design must have one result for each element, not {results} as {design.name} has")
    return products[0]


def tile_sources(design: Design, product: Product, *, base: int = BASE) -> dict[str, str]:
    """``tile.h`` and ``tile.c``: what lies in memory from ``base`` on, the descriptor, and the results to expect."""
    layout = design.accelerator.layout
    image = MemoryImage(layout, base=base, size=_RING)
    placed = image.add(product, flags=INTERRUPT)
    (record,) = image.descriptors()
    # the driver writes the ring
    image.content[: image.ring_bytes] = bytes(image.ring_bytes)
    image.content += bytes(-len(image.content) % 4)
    words = [f"{word:#010x}u" for word in np.frombuffer(image.content, "<u4")]
    expected = expected_results(layout.engine, product)[0]
    sizes = {
        "BASE": f"{base:#x}u",
        "BYTES": f"{len(image.content)}u",
        "RING_LOG2": f"{_RING.bit_length() - 1}u",
        "IMAGE": f"{placed.image - base}u",
        "RESULT": f"{placed.result - base}u",
        "RESULT_STRIDE": f"{layout.result_stride(product)}u",
        "ROWS": f"{expected.shape[0]}u",
        "COLS": f"{expected.shape[1]}u",
        "K": f"{product.act.shape[1]}u",
    }
    comment = f"/* First tile of a layer of all-MiniLM-L6-v2 for the design {design.name}, written by tile.py. */\n"
    header = [
        *(f"#define TILE_{name} {value}" for name, value in sizes.items()),
        f"typedef int{layout.result_slot}_t tile_result;",
        "extern const struct mf_product tile_product;",
        "extern const uint32_t tile_memory[TILE_BYTES / 4];",
        "extern const tile_result tile_expected[TILE_ROWS][TILE_COLS];",
    ]
    source = [
        "const struct mf_product tile_product = {",
        *(f"    .{name} = {value:#x}u," for name, value in DESCRIPTOR.unpack(record).items()),
        "};",
        "const uint32_t tile_memory[TILE_BYTES / 4] = {",
        *_lines(words),
        "};",
        "const tile_result tile_expected[TILE_ROWS][TILE_COLS] = {",
        *(f"    {{{', '.join(str(value) for value in row)}}}," for row in expected),
        "};",
    ]
    guard = '#ifndef TILE_H\n#define TILE_H\n#include <stdint.h>\n#include "macforge.h"\n'
    name = f'#define TILE_DESIGN "{design.name}"\n'
    return {
        "tile.h": comment + guard + name + "\n".join(header) + "\n#endif\n",
        "tile.c": comment + '#include "tile.h"\n' + "\n".join(source) + "\n",
    }


def _lines(words: list[str]) -> list[str]:
    starts = range(0, len(words), _WORDS_PER_LINE)
    return [f"    {', '.join(words[start : start + _WORDS_PER_LINE])}," for start in starts]


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description="Write the tile in C.")
    parser.add_argument("design")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="as of `macforge verilog`")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    design = load_design(arguments.design, arguments.set)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, text in tile_sources(design, first_tile(design)).items():
        (arguments.output / name).write_text(text)


if __name__ == "__main__":
    main()
