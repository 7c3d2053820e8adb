"""A run of words in memory, cut into bursts."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

__all__ = ["Run"]


class Run:
    """Walks over words that follow each other, in bursts that end at multiples of the longest one.

    So no burst crosses a boundary of 4 KiB.

    Parameters
    ----------
    address_bits : int
        Width of the address of a word.
    count_bits : int
        Width of the number of words, less one.
    burst : int
        Words of the longest burst, a power of two.
    name : str
        Prefix of the registers' names.
    """

    def __init__(self, *, address_bits: int, count_bits: int, burst: int, name: str) -> None:
        self._bits = (burst - 1).bit_length()
        self.address = Signal(address_bits, name=f"{name}_address")
        self.some = Signal(name=f"{name}_goes_on")
        """There is a burst to come."""
        self._left = Signal(max(count_bits, self._bits), name=f"{name}_left")

    @property
    def ends(self) -> Value:
        """It is the last one."""
        return ~self._left[self._bits :].any() & (self._left[: self._bits] <= self._here)

    @property
    def length(self) -> Value:
        """Words of the burst."""
        return self.length_less_one + 1

    @property
    def length_less_one(self) -> Value:
        """Words of the burst, less one."""
        return Mux(self.ends, self._left[: self._bits], self._here)

    @property
    def _here(self) -> Value:
        """Words up to the next multiple, less one."""
        return ~self.address[: self._bits]

    def start(self, m: Module, address: Value, words_less_one: Value) -> None:
        """In the next cycle, stand at the first burst."""
        m.d.sync += [self.address.eq(address), self._left.eq(words_less_one), self.some.eq(1)]

    def step(self, m: Module) -> None:
        """In the next cycle, stand at the next burst, if there is one."""
        m.d.sync += [
            self.address.eq(Cat(Const(0, self._bits), self.address[self._bits :] + 1)),
            self._left.eq(self._left - self._here - 1),
            self.some.eq(~self.ends),
        ]

    def drop(self, m: Module) -> None:
        """In the next cycle, stand nowhere."""
        m.d.sync += self.some.eq(0)
