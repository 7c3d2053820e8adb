"""What macforge uses of `amaranth.lib.crc`."""

from amaranth.hdl import Elaboratable, Signal

class Parameters:
    def create(self) -> Processor: ...

class Algorithm:
    def __call__(self, data_width: int = 8) -> Parameters: ...

class Processor(Elaboratable):
    start: Signal
    data: Signal
    valid: Signal
    crc: Signal
    match_detected: Signal
