"""A user's own matrices through a design: compiled and run at once."""

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from macforge.compile.compiler import compile_layer
from macforge.run.executor import Engine, MatmulResult, run_program

if TYPE_CHECKING:
    from macforge.design.design import Design

__all__ = ["matmul"]


def matmul(design: "Design", act: ArrayLike, weight: ArrayLike, *, engine: Engine = "rtl") -> MatmulResult:
    """``C = act @ weight`` as the design computes it.

    Integers are the values themselves, which the design's formats must hold; floats are quantized by the design's
    quantizers, and then the result is dequantized: float32. The same bytes come from both engines. Scales that have to
    be known beforehand, as those of requantized results, are calibrated with ``act`` itself.

    Parameters
    ----------
    design : macforge.design.design.Design
    act : array (M, K)
    weight : array (K, N)
        Of any numeric dtype.
    engine : {"rtl", "ref"}
        Verilator, or the model in NumPy.

    Raises
    ------
    ValueError, MismatchError
        As `macforge.compile.compiler.compile_layer` and `macforge.run.executor.run_program`.
    """
    if engine not in ("rtl", "ref"):
        raise ValueError(f"Engine must be rtl or ref, not {engine!r}")
    return run_program(compile_layer(design, weight, calibration=act), act, engine=engine)
