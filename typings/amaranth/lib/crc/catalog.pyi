"""What macforge uses of `amaranth.lib.crc.catalog`."""

from amaranth.lib.crc import Algorithm

CRC32_ETHERNET: Algorithm
