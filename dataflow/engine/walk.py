"""Counters that walk over a dimension in pieces, as the schedule does.

A step may be taken in every cycle. So what a piece is, is in registers, among them the signs of what is left: counters
stand a piece and one lower than what they count.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data

__all__ = [
    "PLAN_CYCLES",
    "BlockWalk",
    "Countdown",
    "DepthWalk",
    "PassWalk",
    "depth_steps",
    "elaborate_plan",
    "low_ones",
    "plan_layout",
]

PLAN_CYCLES = 2
"""Cycles from a job to the plan that `DepthWalk` follows."""


def depth_steps(depth: int, *, span: int, group: int) -> int:
    """Steps that `DepthWalk` takes over K = ``depth``."""
    groups, rest = divmod(depth, group)
    return groups * -(-group // span) + -(-rest // span)


def low_ones(count: Value, width: int) -> Value:
    """``count`` ones from the low bit on, of ``width`` bits."""
    return Cat(count > lane for lane in range(width))


def plan_layout(depth_bits: int, span: int) -> data.StructLayout:
    """What `DepthWalk` starts with, of K and the group of a job.

    ``group``: products of a group. ``one_group``: K is not longer than one. Less a span and one: ``group_left`` and
    ``first_left``, products of a whole group and of the first, and ``rest_left``, what K has beyond the first.
    ``beyond``: what it has beyond the second, less one.
    """
    number = signed(max(depth_bits, span.bit_length()) + 2)
    numbers = dict.fromkeys(("group_left", "first_left", "rest_left", "beyond"), number)
    return data.StructLayout({"group": depth_bits, "one_group": 1, **numbers})


def elaborate_plan(m: Module, job: data.View, span: int) -> data.View:
    """The plan of a job, `PLAN_CYCLES` after it, for steps of ``span`` products."""
    layout = plan_layout(len(job.k), span)
    plan = Signal(layout, name="plan")
    number = layout["rest_left"].shape
    rest, whole, all_ = (Signal(number, name=name) for name in ("k_beyond_group", "group_left", "k_left"))
    m.d.sync += [rest.eq(job.k - job.group), whole.eq(job.group - (span + 1)), all_.eq(job.k - (span + 1))]
    one_group = rest <= 0
    m.d.sync += [
        plan.group.eq(job.group),
        plan.one_group.eq(one_group),
        plan.group_left.eq(whole),
        plan.first_left.eq(Mux(one_group, all_, whole)),
        plan.rest_left.eq(rest - (span + 1)),
        plan.beyond.eq(rest - job.group - 1),
    ]
    return plan


class Countdown:
    """Counts cycles down to 0, and tells in a register that it is there.

    Parameters
    ----------
    most : int
    name : str
        Prefix of the registers' names.
    """

    def __init__(self, *, most: int, name: str) -> None:
        self._left = Signal(range(most + 1), name=f"{name}_left")
        self.done = Signal(name=f"{name}_done", init=1)

    def count(self, m: Module) -> None:
        """Go on, unless something after it in the module sets another count."""
        m.d.sync += [self._left.eq(self._left - ~self.done), self.done.eq(self._left[1:] == 0)]

    def start(self, m: Module, cycles: Value | int) -> None:
        """In the next cycle, stand at so many."""
        m.d.sync += [self._left.eq(cycles), self.done.eq(Value.cast(cycles) == 0)]

    def add(self, m: Module, cycles: int) -> None:
        """In the next cycle, stand at so many more, at least one, than in this one."""
        m.d.sync += [self._left.eq(self._left + cycles), self.done.eq(0)]


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
        self._left = Signal(signed(max(bits, span.bit_length()) + 1), name=f"{name}_left")
        self._all = Signal.like(self._left, name=f"{name}_all")

    @property
    def last(self) -> Value:
        """This is the last block."""
        return self._left[-1]

    @property
    def used(self) -> Value:
        """Members of this block."""
        return _used(self._left, self.last, self.span)

    @property
    def one_next(self) -> Value:
        """The next block has one member."""
        return self._left == 0 if self.span > 1 else Const(1)

    def start(self, m: Module, count: Value) -> None:
        """In the next cycle, stand at the first block."""
        m.d.sync += self._left.eq(count - (self.span + 1))

    def start_to_repeat(self, m: Module, count: Value) -> None:
        """As `start`, and keep in mind what `repeat` starts with."""
        m.d.sync += [each.eq(count - (self.span + 1)) for each in (self._left, self._all)]

    def repeat(self, m: Module) -> None:
        """In the next cycle, stand at the first block again."""
        m.d.sync += self._left.eq(self._all)

    def step(self, m: Module) -> None:
        """In the next cycle, stand at the next block."""
        m.d.sync += self._left.eq(self._left - self.span)


def _used(left: Value, last: Value, span: int) -> Value:
    bits = span.bit_length()
    return Mux(last, left[:bits] + (span + 1), span)[:bits]


class DepthWalk:
    """Walks over K in steps of ``span`` that never cross the end of a group, and then over K again.

    Parameters
    ----------
    span : int
        Products of a step.
    plan : View
        See `elaborate_plan`; to be held while it walks.
    name : str
        Prefix of the registers' names.
    """

    def __init__(self, *, span: int, plan: data.View, name: str) -> None:
        self.span = span
        self._plan = plan
        number = plan.rest_left.shape()
        # of this group; of K beyond it, as the plan has both
        self._left = Signal(number, name=f"{name}_left")
        self._rest_left = Signal(number, name=f"{name}_rest_left")
        self._beyond = Signal(number, name=f"{name}_beyond")
        self._last_group = Signal(name=f"{name}_last_group")
        self.first_of_group = Signal(name=f"{name}_first_of_group")

    @property
    def last_of_group(self) -> Value:
        """This step ends a group."""
        return self._left[-1]

    @property
    def last_of_pass(self) -> Value:
        """This step ends K."""
        return self.last_of_group & self._last_group

    @property
    def used(self) -> Value:
        """Products of this step."""
        return _used(self._left, self.last_of_group, self.span)

    def start(self, m: Module) -> None:
        """In the next cycle, stand at the first step."""
        plan = self._plan
        m.d.sync += [
            self._left.eq(plan.first_left),
            self._last_group.eq(plan.one_group),
            self._rest_left.eq(plan.rest_left),
            self._beyond.eq(plan.beyond),
            self.first_of_group.eq(1),
        ]

    def step(self, m: Module) -> None:
        """In the next cycle, stand at the next step; after the last one, at the first again."""
        plan, next_is_last = self._plan, self._beyond[-1]
        m.d.sync += [self._left.eq(self._left - self.span), self.first_of_group.eq(self.last_of_group)]
        with m.If(self.last_of_group):
            m.d.sync += [
                self._left.eq(Mux(next_is_last, self._rest_left, plan.group_left)),
                self._last_group.eq(next_is_last),
                self._rest_left.eq(self._rest_left - plan.group),
                self._beyond.eq(self._beyond - plan.group),
            ]
        with m.If(self.last_of_pass):
            DepthWalk.start(self, m)


class PassWalk(DepthWalk):
    """Walks over K as `DepthWalk` does, in as many passes as a job asks for."""

    def __init__(self, *, span: int, plan: data.View, passes: Value, name: str) -> None:
        super().__init__(span=span, plan=plan, name=name)
        self._passes = passes
        self._passes_left = Signal(len(passes), name=f"{name}_passes_left")
        self._last_pass = Signal(name=f"{name}_last_pass")
        self.first_group = Signal(name=f"{name}_first_group")

    @property
    def last(self) -> Value:
        """This step ends the last pass over K."""
        return self.last_of_pass & self._last_pass

    def start(self, m: Module) -> None:
        """In the next cycle, stand at the first step of the first pass."""
        super().start(m)
        self._start_passes(m)

    def step(self, m: Module) -> None:
        """In the next cycle, stand at the next step; after the last one of all passes, at the first again."""
        super().step(m)
        with m.If(self.last_of_group):
            m.d.sync += self.first_group.eq(0)
        with m.If(self.last_of_pass):
            m.d.sync += [self._passes_left.eq(self._passes_left - 1), self._last_pass.eq(self._passes_left == 2)]
        with m.If(self.last):
            self._start_passes(m)

    def _start_passes(self, m: Module) -> None:
        m.d.sync += [
            self._passes_left.eq(self._passes),
            self._last_pass.eq(self._passes == 1),
            self.first_group.eq(1),
        ]
