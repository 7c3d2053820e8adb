"""What readers of an accelerator's memory have in common: ports, and to which product a word belongs."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Member, Out

from sw_ref.accelerator.bus import Bus

__all__ = ["PRODUCT_BITS", "client_ports", "elaborate_errors", "reader_ports"]

PRODUCT_BITS = 2
"""Low bits of a product's number, which tell it from those before and behind it."""


def client_ports(bus: Bus, tag_bits: int) -> dict[str, Member]:
    """Members of a channel of `hw.axi.read.ReadMaster`."""
    return {
        "request": Out(1),
        "address": Out(bus.word_address_bits),
        "words": Out(bus.length_bits),
        "tag": Out(tag_bits),
        "granted": In(1),
        "valid": In(1),
        "data": In(bus.data_bits),
        "last": In(1),
        "error": In(1),
        "data_tag": In(tag_bits),
    }


def reader_ports(bus: Bus, tag_bits: int) -> dict[str, Member]:
    """Members of a reader, besides what it is to read.

    ``start``: a product starts, with the number ``product``; only while ``ready``. ``current``: the product that the
    engine has taken up: no other's beats are given to it. ``past``: nothing of the product ``retiring`` is left.
    ``failed``: a word could not be read, of a product whose number has this lowest bit.
    """
    return {
        "start": In(1),
        "ready": Out(1),
        "product": In(PRODUCT_BITS),
        "current": In(PRODUCT_BITS),
        "retiring": In(PRODUCT_BITS),
        "past": Out(1),
        "failed": Out(2),
        **client_ports(bus, tag_bits),
    }


def elaborate_errors(m: Module, failed: Signal, *, valid: Value, error: Value, product: Value) -> None:
    """Remember of which product a word could not be read."""
    with m.If(valid & error):
        m.d.sync += failed.eq(failed | Mux(product[0], 2, 1))
