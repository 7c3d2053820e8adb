"""The offset of a group and column: what is added to each of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sw_ref.arith.float_codes import add, from_integer, infinity_and_nan, multiply
from sw_ref.drain.names import float_format
from sw_ref.drain.step import Key, Parameter, Step
from sw_ref.formats.minifloat import Float

if TYPE_CHECKING:
    from sw_ref.drain.edge import Drain

__all__ = ["Offset"]


@dataclass(frozen=True, kw_only=True)
class Offset(Step):
    """``y = y + offset[g,n] * row_sum[g,m]``, where ``w = scale * q + offset`` is what a weight stands for.

    The row sum becomes a float of the edge's arithmetic first; product and sum are rounded one after the other. GGUF's
    Q4_1 and Q5_1 have such an offset (their ``m``), AWQ and GPTQ with zero points that are floats, and LUT-GEMM (arXiv
    2206.09557), whose ``z`` it is.

    Parameters
    ----------
    offset : Float or None
        Its format, with a sign; see `sw_ref.drain.edge.Drain.check_factor`.
    """

    offset: Float | None = None

    keys = (Key(name="offset", hint=str, default="none", read=float_format),)
    stages = ("term",)

    @property
    def is_present(self) -> bool:
        return self.offset is not None

    @property
    def wants_floats(self) -> bool:
        return True

    @property
    def takes_row_sums(self) -> bool:
        return True

    @property
    def form(self) -> Float:
        """The format, of a step that is present."""
        assert self.offset is not None
        return self.offset

    def check(self, edge: Drain) -> None:
        infinity_and_nan(self.form)
        edge.check_factor("offset", self.form)
        if edge.sums:
            raise ValueError("Drain offset must be none where sums are floats, as there are no sums of rows")

    def parameters(self, edge: Drain) -> tuple[Parameter, ...]:
        return (Parameter(name="offset", kind="column", form=self.form),)

    def compute(self, y: np.ndarray, given: Mapping[str, np.ndarray], edge: Drain) -> np.ndarray:
        floats = edge.arithmetic
        product = multiply(floats, from_integer(floats, given["row_sum"]), given["offset"], self.form)
        return add(floats, y, product)
