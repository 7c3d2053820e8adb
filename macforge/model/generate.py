"""Text by a decoder, token after token, its linear layers as programs of designs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from macforge.compile.program import Program
from macforge.model.compiled import compile_for_first, compile_stored_layer
from macforge.model.decoder import Compute, Decoder
from macforge.model.layer import StoredLayer
from macforge.run.executor import Engine, run_program

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["DESIGNS", "Programs", "generate"]

DESIGNS = ("w4a8_q4_1", "w8a8_q8_0")
"""Named designs that take the layers of GGUF's Q4_0, Q4_1 and Q8_0."""


class Programs:
    """Linear layers as programs, each compiled once, for the first of some designs that takes it as it is stored.

    Parameters
    ----------
    designs : sequence of Design
    engine : {"ref", "rtl"}
        See `macforge.run.executor.run_program`.
    chosen : mapping of str to Design, optional
        Designs of layers, by their names, which have them re-quantized where they do not take them as they are.
    wide : callable, optional
        Which columns of a layer get more bits, given its name and N: bool (N,) or None, see
        `macforge.compile.compiler.compile_layer`. For layers of ``chosen``.

    Attributes
    ----------
    predicted_cycles : int
        Of the engines in all products, whose operands are always there.
    cycles : int
        That the hardware took, memory included; 0 from the model.
    """

    def __init__(
        self,
        designs: "Sequence[Design]",
        *,
        engine: Engine = "ref",
        chosen: "Mapping[str, Design] | None" = None,
        wide: Callable[[str, int], np.ndarray | None] = lambda name, n: None,
    ) -> None:
        if engine not in ("rtl", "ref"):
            raise ValueError(f"Engine must be rtl or ref, not {engine!r}")
        self._designs = designs
        self._chosen, self._wide = chosen or {}, wide
        self._engine: Engine = engine
        self._programs: dict[str, Program] = {}
        self.predicted_cycles = self.cycles = 0

    def __call__(self, layer: StoredLayer, act: np.ndarray) -> np.ndarray:
        """The product (M, N), as the design computes it.

        Raises
        ------
        ValueError
            If no design takes the layer; says why, of each.
        """
        result = run_program(self.program(layer), act, engine=self._engine)
        self.predicted_cycles += result.predicted_cycles
        self.cycles += result.cycles or 0
        return result.product

    def program(self, layer: StoredLayer) -> Program:
        """The program of a layer; ValueError if no design takes it."""
        if layer.name not in self._programs:
            self._programs[layer.name] = self._compiled(layer)
        return self._programs[layer.name]

    def _compiled(self, layer: StoredLayer) -> Program:
        if layer.name in self._chosen:
            wide = self._wide(layer.name, layer.n)
            return compile_stored_layer(self._chosen[layer.name], layer, requantize=True, wide=wide)[0]
        return compile_for_first(self._designs, layer)[1]


def generate(
    decoder: Decoder, prompt: Sequence[int], compute: Compute, *, count: int, end: int | None = None
) -> Iterator[int]:
    """The tokens that follow a prompt, each the one with the largest logit, the first of them if there are several.

    The prompt is computed at once, and then token by token.

    Parameters
    ----------
    decoder : Decoder
    prompt : sequence of int
    compute : callable
        Of linear layers, see `macforge.model.decoder.Compute`.
    count : int
        Tokens, at most.
    end : int, optional
        The token after which there are none.
    """
    cache, tokens = decoder.start(), list(prompt)
    for _ in range(count):
        states = decoder.hidden(tokens, cache, compute)
        tokens = [int(decoder.logits(states[-1:], compute)[0].argmax())]
        yield tokens[0]
        if tokens[0] == end:
            return
