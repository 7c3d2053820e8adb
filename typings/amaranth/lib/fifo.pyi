"""What macforge uses of `amaranth.lib.fifo`."""

from amaranth.hdl import Elaboratable, Signal

class SyncFIFO(Elaboratable):
    w_data: Signal
    w_rdy: Signal
    w_en: Signal
    w_level: Signal
    r_data: Signal
    r_rdy: Signal
    r_en: Signal
    r_level: Signal
    level: Signal
    def __init__(self, *, width: int, depth: int) -> None: ...

class SyncFIFOBuffered(SyncFIFO): ...
