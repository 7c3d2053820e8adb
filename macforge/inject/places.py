"""Which part of an accelerator a register or memory belongs to, by its place in the hierarchy."""

import re
from collections.abc import Iterable

from hw.emit.tools import ToolError
from tb.state import Stored

__all__ = ["PLACES", "class_of", "classes_of"]

PLACES = {
    "registers": r"control\..*",
    "queues": r"(.*\.)?(results|queue|\w+_queue|tiles|tile_words|tile_\d+_\d+|words_\d+|owners|bursts)\..*",
    "checks": r"engine\.(array\.check(_\d+.*)?|verdict\..*)",
    "cells": r"engine\.(array\.(band|accumulate)_\d+|sums)\..*",
    "edges": r"engine\.array\..*",
    "panel": r"engine\.panel\..*",
    "drain": r"engine\.drain\..*",
    "engine": r"engine\..*",
    "dma": r"(dispatcher|\w+_reader|read_master|write_master|result_writer|weight_cache)\..*|\w+",
}
"""Classes, each with a pattern of the full names of what is in it; the first that fits decides.

``registers``: behind AXI4-Lite, with the counters. ``queues``: FIFOs and buffers of words, bursts, tiles of
activations, parameters and results. ``checks``: check columns, and what judges and corrects rows of sums, with the rows
that wait there. ``cells``: cores with their pipeline registers and sums, and the accumulators below them. ``edges``:
encoders, skew and deskew. ``panel``: the operand memory and its control. ``drain``: the drain edge. ``engine``: what is
left of the engine, its control. ``dma``: dispatcher, readers, writer of results, bus masters, cache of weights.
"""

_PATTERNS = {name: re.compile(pattern) for name, pattern in PLACES.items()}


def class_of(name: str) -> str:
    """The class of what has this full name.

    Raises
    ------
    ToolError
        If it is in none: the table lacks a part.
    """
    for found, pattern in _PATTERNS.items():
        if pattern.fullmatch(name):
            return found
    raise ToolError(f"Every register must be in a class of {', '.join(PLACES)}, but {name} is in none")


def classes_of(stored: Iterable[Stored]) -> dict[str, list[int]]:
    """Numbers of what is in each class that has something, in the order of `PLACES`."""
    found: dict[str, list[int]] = {name: [] for name in PLACES}
    for index, each in enumerate(stored):
        found[class_of(each.full_name)].append(index)
    return {name: indices for name, indices in found.items() if indices}
