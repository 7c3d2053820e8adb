"""Products of operands in parts: significands multiplied by rows of adders, exponents added."""

from types import SimpleNamespace

from amaranth.hdl import Module, Value

from hw.core.number import wire
from hw.core.stages import Step
from hw.integer.multiply import product_steps
from pe.operands.parts import FloatOperand

__all__ = ["product_parts"]


def product_parts(
    m: Module, lane: int, row: FloatOperand, column: FloatOperand, act: Value, weight: Value
) -> tuple[SimpleNamespace, list[Step]]:
    """What the product of a lane of ``act`` and ``weight`` is made of, and the steps that make it.

    They leave ``significand``, ``exponent`` and ``negative``, all Values: the product is ``(-1)**negative * significand
    * 2**exponent``, in units of both formats' last bits.
    """
    x, y = row.lane(act, lane), column.lane(weight, lane)
    # the fewer bits the multiplier has, the fewer rows there are
    narrow, wide = sorted((y.significand, x.significand), key=lambda number: len(number.value))
    at = SimpleNamespace(
        multiplicand=wide,
        multiplier=narrow,
        exponent=wire(m, f"exponent_{lane}", x.exponent + y.exponent).value,
        negative=x.negative ^ y.negative,
    )

    def done(m: Module, at: SimpleNamespace) -> None:
        at.significand = wire(m, f"product_{lane}", at.product).value
        del at.product, at.multiplicand, at.unread

    rows = product_steps(narrow.interval, dsp="none", lut=4, name=f"product_{lane}_row")
    # few rows lie between two registers, and the way into a carry chain and out of it counts more than its length
    return at, [*(Step(2, row.build) for row in rows), Step(0, done)]
