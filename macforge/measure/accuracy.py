"""What a transformer loses when all of its linear layers are computed as a design computes them."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from statistics import fmean
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from hw.core.digest import digest
from macforge.compile.compiler import compile_layer
from macforge.compile.program import Program
from macforge.design.design import Design
from macforge.measure.minilm import Compute, Layer, MiniLM, float_result
from macforge.provenance import cached_figures, substance
from macforge.run.job import job_of
from macforge.run.transformed import compile_transformed, find_transform
from sw_ref.arith.accumulate import Accumulator
from sw_ref.arith.rules import EXACT
from sw_ref.engine.product import expected_results
from sw_ref.quantize.uniform import sqnr_db

__all__ = ["SENTENCES", "Accuracy", "accuracy", "compiled", "quantized_result"]

SENTENCES: tuple[str, ...] = tuple(
    tomllib.loads((resources.files("macforge.measure") / "sentences.toml").read_text(encoding="utf-8"))["sentences"]
)
"""What the model reads."""

# Sentences whose activations single layers are measured with: the others change no figure by half a decibel.
_MEASURED = 8


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How close all-MiniLM-L6-v2 stays to itself in float32.

    Parameters
    ----------
    design : str
    sentences, tokens : int
        How many the model read.
    cosine_mean, cosine_min : float
        Cosine similarity of a sentence's embedding with all linear layers quantized to its embedding in floats: the
        mean over all sentences, and the least.
    sqnr_db : dict of str to float
        Signal to quantization noise ratio of the results of single layers, biases included, given activations of the
        float model: by kind of layer, the mean over all layers of it.
    """

    design: str
    sentences: int
    tokens: int
    cosine_mean: float
    cosine_min: float
    sqnr_db: Mapping[str, float]

    def to_table(self) -> dict[str, Any]:
        """As plain data: ``sqnr_db`` is the mean over all kinds, ``sqnr_db_by_layer`` that of each."""
        table = dataclasses.asdict(self)
        return {**table, "sqnr_db": fmean(self.sqnr_db.values()), "sqnr_db_by_layer": table["sqnr_db"]}


def accuracy(
    design: Design, *, sentences: int = 0, transform: str = "", wide: Mapping[str, np.ndarray] | None = None
) -> Accuracy:
    """Compute all-MiniLM-L6-v2 with a design's arithmetic, and compare it with itself in float32.

    The product of each of the 36 linear layers is that of the model that the RTL equals bit for bit, as
    `macforge.run.product.matmul` has it: activations and weights are quantized by the design's quantizers, sums are
    kept and rounded as the design says, and nothing is left out or replaced. What adds no bias has it added in float32.

    A layer is computed once for all sentences: what shares a scale within a tensor of activations shares it among all
    tokens; scales of rows are those of single tokens. Scales that have to be known beforehand, as those of requantized
    results, are calibrated with the activations that the float model has in the first sentences. Attention's products
    of two activations, normalization and GELU stay float32. Weights are quantized as they are, without training.

    Accumulators and buffers for too short a ``tiling.max_k`` are made larger, which changes no sum.

    Parameters
    ----------
    design : Design
        Its array makes no difference.
    sentences : int
        How many of `SENTENCES` the model reads, the first of them; 0 for all.
    transform : str
        What is done with each layer in front of the quantizers, see `macforge.run.transformed.find_transform`; by
        the activations that scales are calibrated with. Biases are then added in float32.
    wide : mapping of str to bool array (N,), optional
        By the names of layers: columns that get more bits, see `macforge.compile.compiler.compile_layer`.

    Raises
    ------
    ValueError
        If the design's drain edge has an activation function of its own, its formats cannot take what the layers give,
        or there are not so many sentences.
    ModuleNotFoundError
        If the package of the model is not installed.
    """
    if not 0 <= sentences <= len(SENTENCES):
        raise ValueError(f"Sentences must be from 1 to {len(SENTENCES)}, or 0 for all, not {sentences}")
    for step in ("relu", "clamp"):
        if given := getattr(design.drain, step):
            raise ValueError(f"Drain {step} must be left out for layers without one, not {given!r}")
    model = MiniLM.load()
    fitted = design.with_depth(max(model.weights[f"{name}.weight"].shape[1] for name in model.linear_layers))
    read = SENTENCES[: sentences or None]
    inputs = _numerics(fitted), model.identity, read, _blas()
    if transform:
        inputs = (*inputs, transform)
    if wide:
        inputs = (*inputs, "wide", {name: digest(columns) for name, columns in wide.items()})
    found = cached_figures("accuracy", *inputs, compute=lambda: _measured(fitted, model, read, transform, wide or {}))
    return Accuracy(design=design.name, sentences=len(read), **found)


def compiled(design: Design, layer: Layer, *, wide: np.ndarray | None = None) -> Program:
    """A layer for a design, calibrated with its own activations; with its bias, if the drain edge takes one.

    ``wide`` says which columns get more bits, see `macforge.compile.compiler.compile_layer`.
    """
    bias = layer.bias if design.drain.adds_bias else None
    return compile_layer(design, layer.weight, bias, calibration=layer.act, wide=wide)


def quantized_result(program: Program, layer: Layer) -> np.ndarray:
    """``act @ weight + bias`` (M, N) in float32, as the model of a design's hardware has it.

    The drain edge adds the bias if it takes one; else it is added in float32.

    Raises
    ------
    ValueError
        If the activations cannot be brought into the form that the design's engine takes.
    """
    target, job = program.target, job_of(program, layer.act)
    product = job.real([expected_results(target.engine, each) for each in job.products])
    return product if (target.edge and target.edge.adds_bias) or layer.bias is None else product + layer.bias


def _blas() -> list[str]:
    """NumPy's library of matrix products, and which processor's code it runs: each adds float32 in its own order."""
    keys = ("internal_api", "version", "architecture")
    # SciPy's, if anything has loaded it, multiplies nothing here
    found = (each for each in threadpool_info() if each["user_api"] == "blas" and "scipy.libs" not in each["filepath"])
    return [str(library.get(key)) for library in found for key in keys]


# the order of these sums also depends on how many threads share them
@threadpool_limits.wrap(limits=1)
def _measured(
    design: Design, model: MiniLM, read: Sequence[str], transform: str, wide: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """The figures of `Accuracy`."""
    tokens = [len(model.token_ids(sentence)) for sentence in read]
    some = sum(tokens[:_MEASURED])
    acts: dict[str, np.ndarray] = {}
    found: dict[str, list[float]] = {}

    def exact(layer: Layer) -> np.ndarray:
        acts[layer.name] = layer.act[:some]
        return float_result(layer)

    def quantized(layer: Layer) -> np.ndarray:
        # encoder.layer.0.attention.self.query and the like
        kind = layer.name.split(".", maxsplit=3)[-1].removesuffix(".dense")
        by_itself = dataclasses.replace(layer, act=acts[layer.name])
        columns = wide.get(layer.name)
        make = partial(_transformed, transform=transform) if transform else _plain
        result = make(design, by_itself, wide=columns)
        found.setdefault(kind, []).append(_layer_sqnr_db(by_itself, result(by_itself)))
        return result(layer)

    reference = model.embeddings(read, exact).astype(np.float64)
    embeddings = model.embeddings(read, quantized).astype(np.float64)
    lengths = np.linalg.norm(reference, axis=1) * np.linalg.norm(embeddings, axis=1)
    cosines = (reference * embeddings).sum(axis=1) / lengths
    return {
        "tokens": sum(tokens),
        "cosine_mean": float(cosines.mean()),
        "cosine_min": float(cosines.min()),
        "sqnr_db": {kind: fmean(figures) for kind, figures in found.items()},
    }


def _plain(design: Design, layer: Layer, *, wide: np.ndarray | None) -> Compute:
    return partial(quantized_result, compiled(design, layer, wide=wide))


def _transformed(design: Design, layer: Layer, *, transform: str, wide: np.ndarray | None) -> Compute:
    chosen = find_transform(transform, design.target)
    form = compile_transformed(design, layer.weight, layer.act, chosen, wide=wide)
    return lambda given: form.product(given.act) + (0 if given.bias is None else given.bias)


def _layer_sqnr_db(layer: Layer, result: np.ndarray) -> float:
    assert layer.bias is not None, "the model's layers have one"
    exact = layer.act.astype(np.float64) @ layer.weight.astype(np.float64) + layer.bias
    return sqnr_db(exact, result)


def _numerics(design: Design) -> dict[str, Any]:
    """All of a design that its results depend on, as plain data: everything but what is known to make no difference."""
    pe, sums, table = design.pe, design.sums, substance(design.to_table())
    # results of an array are those of its steps
    del table["array"], table["dataflow"]
    for field in ("drain_lanes", "max_k", "max_passes", "panel_rows"):
        del table["tiling"][field]
    # only then does the order of products matter, and how many come at a time
    if not isinstance(sums, Accumulator) or sums.overflow == "saturate" or pe.rule != EXACT:
        return {**table, "step": design.engine.span // design.product_lanes}
    # whatever forms exact products, their sum is the same
    del table["family"], table["lanes"], table["options"]
    return {**table, "modes": [[mode.act.name, mode.weight.name] for mode in pe.modes]}
