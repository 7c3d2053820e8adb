"""Takes records out of the words that they come in."""

from amaranth.hdl import Cat, Module, Signal, Value

from sw_ref.accelerator.bus import Bus
from sw_ref.accelerator.descriptor import Record

__all__ = ["Fields", "outside", "word_address"]


class Fields:
    """Fields of a record in registers, each as wide as it is in the record.

    Parameters
    ----------
    bus : Bus
    record : Record
    name : str
        Prefix of the registers' names.
    """

    def __init__(self, *, bus: Bus, record: Record, name: str) -> None:
        self._bus = bus
        self._record = record
        self._values = {field.name: Signal(8 * field.size, name=f"{name}_{field.name}") for field in record.fields}

    def __getattr__(self, name: str) -> Signal:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name) from None

    def take(self, m: Module, *, valid: Value, index: Value, data: Value) -> None:
        """Take what word ``index`` of the record has of its fields."""
        width = self._bus.data_bits
        for field in self._record.fields:
            first, last = 8 * field.offset, 8 * (field.offset + field.size)
            signal = self._values[field.name]
            for word in range(first // width, (last - 1) // width + 1):
                low, high = max(first, word * width), min(last, (word + 1) * width)
                with m.If(valid & (index == word)):
                    m.d.sync += signal[low - first : high - first].eq(data[low - word * width : high - word * width])


def word_address(bus: Bus, address: Value) -> Value:
    """The word at an address."""
    return address[bus.low_bits : bus.address_bits]


def outside(bus: Bus, *addresses: Value) -> Value:
    """Whether one of these is not that of a word, or beyond the bus."""
    return Cat(address[: bus.low_bits].any() | address[bus.address_bits :].any() for address in addresses).any()
