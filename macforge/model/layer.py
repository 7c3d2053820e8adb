"""A linear layer as a model file holds it: the same plain data, whatever file it comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from macforge.model.convolution import Convolution
from sw_ref.formats.base import Format, Int
from sw_ref.quantize.stored import Factors, Stored, quantize_with
from sw_ref.quantize.uniform import Quantized, Quantizer

__all__ = ["StoredAct", "StoredLayer", "StoredResult", "joined"]


@dataclass(frozen=True, kw_only=True)
class StoredAct:
    """How a file says that activations are quantized: ``real = scale * (code - zero_point)``.

    Parameters
    ----------
    format : Format
    scale : float or None
        None if each product has its own, as ONNX DynamicQuantizeLinear computes it.
    zero_point : int
    """

    format: Format
    scale: float | None = None
    zero_point: int = 0

    @property
    def is_static(self) -> bool:
        """Whether the scale is in the file."""
        return self.scale is not None

    @property
    def static(self) -> Quantized:
        """No activations, with the scale and the zero point of all that come."""
        return self.of_codes(np.zeros((0, 0), np.uint32))

    def of_codes(self, codes: np.ndarray, *, zero_point: int | None = None) -> Quantized:
        """Activations (M, K) whose codes are there already, as bit patterns."""
        zero = self.zero_point if zero_point is None else zero_point
        return Quantized(
            codes=self.format.check_codes(codes),
            scale=np.full((1, 1), 1 if self.scale is None else self.scale, np.float32),
            zero_point=np.full((1, 1), zero, np.int64),
            format=self.format,
            k_axis=1,
        )

    def quantize(self, act: np.ndarray) -> Quantized:
        """Real activations (M, K) as the file has them quantized: by ONNX QuantizeLinear or DynamicQuantizeLinear."""
        if self.scale is None:
            return Quantizer(self.format, "asymmetric", "tensor").quantize(act, k_axis=1, what="act")
        return quantize_with(act, self.static)


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """What results of a layer become: ``saturate(round_half_even(real / scale) + zero_point)``."""

    format: Int
    scale: float
    zero_point: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredLayer:
    """A linear layer of a file.

    What is large is read when it is asked for, and not kept.

    Parameters
    ----------
    name : str
        Of the tensor or node.
    kind : str
        What the file calls the way in which it is quantized, such as ``Q4_1`` or ``MatMulNBits``.
    k, n : int
    format : Format
        Of the codes.
    group_size : int
        Neighbours along K that share a scale; 0 for all of K.
    read_codes : callable
        Gives codes (K, N), uint32.
    read_factors : callable
        Gives scales, zero points and offsets.
    order : int64 array (K,), optional
        Which channel of the activations is which k.
    bias : float64 array (N,), optional
    act : StoredAct, optional
        How activations are quantized, if the file says so.
    result : StoredResult, optional
        What results are requantized to, if the file says so.
    convolution : Convolution, optional
        How K comes of an image, if it does.
    of : str
        Name of what this layer is one of several parts of, such as a stack of matrices; empty if it is none.
    select : callable, optional
        Gives the layer of some columns, read without the others.
    """

    name: str
    kind: str
    k: int
    n: int
    format: Format
    read_codes: Callable[[], np.ndarray]
    read_factors: Callable[[], Factors]
    group_size: int = 0
    order: np.ndarray | None = None
    bias: np.ndarray | None = None
    act: StoredAct | None = None
    result: StoredResult | None = None
    convolution: Convolution | None = None
    of: str = ""
    select: "Callable[[slice | np.ndarray], StoredLayer] | None" = None

    def columns(self, chosen: slice | np.ndarray) -> "StoredLayer":
        """The layer of some columns, such as the rows of an embedding for some tokens."""
        if self.select is not None:
            return self.select(chosen)
        return replace(
            self,
            n=len(np.arange(self.n)[chosen]),
            read_codes=lambda: self.read_codes()[:, chosen],
            read_factors=lambda: self.read_factors().columns(chosen),
            bias=None if self.bias is None else self.bias[chosen],
        )

    def stored(self) -> Stored:
        """The weight.

        Raises
        ------
        ValueError
            If a scale or offset of it is not finite.
        """
        return Stored(
            codes=self.read_codes(),
            format=self.format,
            factors=self.factors(),
            group_size=self.group_size,
            order=self.order,
        )

    def factors(self) -> Factors:
        """Scales, zero points and offsets, which must be finite."""
        factors = self.read_factors()
        for name in ("scale", "offset", "channel"):
            if not np.isfinite(getattr(factors, name)).all():
                raise ValueError(f"Layer {self.name} must have finite factors, and its {name} has infinity or NaN")
        return factors

    def dequantized(self) -> np.ndarray:
        """The real weight (K, N) in float64."""
        return self.stored().reals()


def joined(layers: Sequence[StoredLayer]) -> StoredLayer:
    """The columns of all parts of a whole as one layer, by which designs can be asked at once."""
    first = layers[0]
    if len(layers) == 1:
        return first
    return replace(
        first,
        name=f"{first.of}[0..{len(layers) - 1}]",
        n=sum(layer.n for layer in layers),
        read_codes=lambda: np.concatenate([layer.read_codes() for layer in layers], axis=1),
        read_factors=lambda: Factors.joined([layer.read_factors() for layer in layers]),
        bias=None if first.bias is None else np.concatenate([layer.bias for layer in layers if layer.bias is not None]),
        select=None,
    )
