"""Counters that walk over a dimension in pieces, as the schedule does."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value

__all__ = ["BlockWalk", "DepthWalk", "depth_steps", "low_ones"]


def depth_steps(depth: int, *, span: int, group_size: int) -> int:
    """Steps that `DepthWalk` takes over K = ``depth``."""
    if not group_size:
        return -(-depth // span)
    groups, rest = divmod(depth, group_size)
    return groups * -(-group_size // span) + -(-rest // span)


def low_ones(count: Value, width: int) -> Value:
    """``count`` ones from the low bit on, of ``width`` bits."""
    return Cat(count > lane for lane in range(width))


class BlockWalk:
    """Walks over ``0 .. count - 1`` in blocks of ``span``; the last block may be shorter.

    Parameters
    ----------
    span : int
    most : int
        Largest ``count``.
    name : str
        Prefix of the register's name.
    """

    def __init__(self, *, span: int, most: int, name: str) -> None:
        self.span = span
        self.left = Signal(range(most + 1), name=f"{name}_left")

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
    """Walks over K in steps of ``span`` that never cross the end of a group.

    Parameters
    ----------
    span : int
        Products of a step.
    group_size : int
        0 for one group over all of K.
    most : int
        Largest K.
    name : str
        Prefix of the registers' names.
    """

    def __init__(self, *, span: int, group_size: int, most: int, name: str) -> None:
        self.span = span
        self.group_size = group_size if group_size < most else 0
        self._k_left = Signal(range(most + 1), name=f"{name}_k_left")
        self._group_left = Signal(range(self.group_size + 1), name=f"{name}_group_left")
        self.first_of_group = Signal(name=f"{name}_first_of_group")

    @property
    def _left(self) -> Value:
        """What is left of this group."""
        if not self.group_size:
            return self._k_left
        return Mux(self._k_left < self._group_left, self._k_left, self._group_left)

    @property
    def last_of_group(self) -> Value:
        """This step ends a group."""
        return self._left <= self.span

    @property
    def last(self) -> Value:
        """This step ends K."""
        if not self.group_size:
            return self.last_of_group
        return self.last_of_group & (self._k_left <= self._group_left)

    @property
    def used(self) -> Value:
        """Products of this step."""
        return Mux(self.last_of_group, self._left, self.span)[: self.span.bit_length()]

    def start(self, m: Module, depth: Value) -> None:
        """In the next cycle, stand at the first step."""
        m.d.sync += [
            self._k_left.eq(depth),
            self._group_left.eq(self.group_size),
            self.first_of_group.eq(1),
        ]

    def step(self, m: Module) -> None:
        """In the next cycle, stand at the next step."""
        m.d.sync += [
            self._k_left.eq(self._k_left - self.used),
            self._group_left.eq(Mux(self.last_of_group, self.group_size, self._group_left - self.span)),
            self.first_of_group.eq(self.last_of_group),
        ]
