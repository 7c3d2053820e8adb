"""Counters that walk over a dimension in pieces, as the schedule does."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data

__all__ = ["BlockWalk", "DepthWalk", "PassWalk", "depth_steps", "low_ones"]


def depth_steps(depth: int, *, span: int, group: int) -> int:
    """Steps that `DepthWalk` takes over K = ``depth``."""
    groups, rest = divmod(depth, group)
    return groups * -(-group // span) + -(-rest // span)


def low_ones(count: Value, width: int) -> Value:
    """``count`` ones from the low bit on, of ``width`` bits."""
    return Cat(count > lane for lane in range(width))


class BlockWalk:
    """Walks over ``0 .. count - 1`` in blocks of ``span``; the last block may be shorter.

    Parameters
    ----------
    span : int
    bits : int
        Width of ``count``.
    name : str
        Prefix of the register's name.
    """

    def __init__(self, *, span: int, bits: int, name: str) -> None:
        self.span = span
        self.left = Signal(bits, name=f"{name}_left")

    @property
    def last(self) -> Value:
        """This is the last block."""
        return self.left <= self.span

    @property
    def used(self) -> Value:
        """Members of this block."""
        return Mux(self.last, self.left, self.span)[: self.span.bit_length()]

    def start(self, m: Module, count: Value) -> None:
        """In the next cycle, stand at the first block."""
        m.d.sync += self.left.eq(count)

    def step(self, m: Module) -> None:
        """In the next cycle, stand at the next block."""
        m.d.sync += self.left.eq(self.left - self.span)


class DepthWalk:
    """Walks over K in steps of ``span`` that never cross the end of a group, and then over K again.

    Parameters
    ----------
    span : int
        Products of a step.
    layout : StructLayout
        Of a job, see `dataflow.engine.job.job_layout`.
    name : str
        Prefix of the registers' names.
    """

    def __init__(self, *, span: int, layout: data.StructLayout, name: str) -> None:
        self.span = span
        self._k_left = Signal(layout["k"].shape, name=f"{name}_k_left")
        self._group_left = Signal(layout["group"].shape, name=f"{name}_group_left")
        self.first_of_group = Signal(name=f"{name}_first_of_group")

    @property
    def _left(self) -> Value:
        """What is left of this group."""
        return Mux(self._k_left < self._group_left, self._k_left, self._group_left)

    @property
    def last_of_group(self) -> Value:
        """This step ends a group."""
        return self._left <= self.span

    @property
    def last_of_pass(self) -> Value:
        """This step ends K."""
        return self.last_of_group & (self._k_left <= self._group_left)

    @property
    def used(self) -> Value:
        """Products of this step."""
        return Mux(self.last_of_group, self._left, self.span)[: self.span.bit_length()]

    def start(self, m: Module, job: data.View) -> None:
        """In the next cycle, stand at the first step."""
        m.d.sync += [self._k_left.eq(job.k), self._group_left.eq(job.group), self.first_of_group.eq(1)]

    def step(self, m: Module, job: data.View) -> None:
        """In the next cycle, stand at the next step; after the last one, at the first again."""
        m.d.sync += [
            self._k_left.eq(Mux(self.last_of_pass, job.k, self._k_left - self.used)),
            self._group_left.eq(Mux(self.last_of_group, job.group, self._group_left - self.span)),
            self.first_of_group.eq(self.last_of_group),
        ]


class PassWalk(DepthWalk):
    """Walks over K as `DepthWalk` does, in as many passes as a job asks for."""

    def __init__(self, *, span: int, layout: data.StructLayout, name: str) -> None:
        super().__init__(span=span, layout=layout, name=name)
        self._passes_left = Signal(layout["passes"].shape, name=f"{name}_passes_left")
        self.first_group = Signal(name=f"{name}_first_group")

    @property
    def last(self) -> Value:
        """This step ends the last pass over K."""
        return self.last_of_pass & (self._passes_left == 1)

    def start(self, m: Module, job: data.View) -> None:
        """In the next cycle, stand at the first step of the first pass."""
        super().start(m, job)
        m.d.sync += [self._passes_left.eq(job.passes), self.first_group.eq(1)]

    def step(self, m: Module, job: data.View) -> None:
        """In the next cycle, stand at the next step; after the last one of all passes, at the first again."""
        super().step(m, job)
        with m.If(self.last_of_group):
            m.d.sync += self.first_group.eq(0)
        with m.If(self.last_of_pass):
            m.d.sync += self._passes_left.eq(self._passes_left - 1)
        with m.If(self.last):
            m.d.sync += [self._passes_left.eq(job.passes), self.first_group.eq(1)]
