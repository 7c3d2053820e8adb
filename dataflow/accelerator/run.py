"""A run of words in memory, cut into bursts."""

from amaranth.hdl import Const, Module, Mux, Signal, Value

__all__ = ["Run"]


class Run:
    """Walks over words that follow each other, in bursts that end at multiples of the longest one.

    So no burst crosses a boundary of 4 KiB.

    Parameters
    ----------
    address_bits : int
        Width of the address of a word.
    count_bits : int
        Width of the number of words.
    burst : int
        Words of the longest burst, a power of two.
    name : str
        Prefix of the registers' names.
    """

    def __init__(self, *, address_bits: int, count_bits: int, burst: int, name: str) -> None:
        self._bits = (burst - 1).bit_length()
        self.address = Signal(address_bits, name=f"{name}_address")
        self.left = Signal(count_bits, name=f"{name}_left")

    @property
    def some(self) -> Value:
        """There is a burst to come."""
        return self.left != 0

    @property
    def ends(self) -> Value:
        """It is the last one."""
        return ~self.left[self._bits + 1 :].any() & (self.left[: self._bits + 1] <= self.length)

    @property
    def length(self) -> Value:
        """Words of the burst."""
        return self.length_less_one + 1

    @property
    def length_less_one(self) -> Value:
        """Words of the burst, less one."""
        here = ~self.address[: self._bits]
        few = ~self.left[self._bits + 1 :].any() & (self.left[: self._bits + 1] <= here)
        return Mux(few, self.left[: self._bits] - Const(1, 1), here)[: self._bits]

    def start(self, m: Module, address: Value, words: Value) -> None:
        """In the next cycle, stand at the first burst."""
        m.d.sync += [self.address.eq(address), self.left.eq(words)]

    def step(self, m: Module) -> None:
        """In the next cycle, stand at the next burst."""
        m.d.sync += [self.address.eq(self.address + self.length), self.left.eq(self.left - self.length)]
