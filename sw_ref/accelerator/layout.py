"""What an accelerator reads and writes, byte by byte."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from math import lcm

import numpy as np

from sw_ref.accelerator.bus import Bus, chunk_bits, slot_bits, stride_bits
from sw_ref.accelerator.descriptor import DESCRIPTOR, HEAD, PRODUCT
from sw_ref.accelerator.registers import VERSION
from sw_ref.engine.beats import parameter_payloads, weight_payloads
from sw_ref.engine.product import Product
from sw_ref.engine.schedule import Schedule
from sw_ref.engine.spec import EngineSpec
from sw_ref.payload import packed, signed_values
from sw_ref.wide import integer_array, integer_type

__all__ = ["Layout", "fits_bus"]


def fits_bus(engine: EngineSpec, bus: Bus) -> bool:
    """Whether rows of results of a block of columns begin only where words do, or lie whole in one, in bytes of it."""
    row = _row_bits(engine)
    return row % bus.data_bits == 0 or (bus.data_bits % row == 0 and row % 8 == 0)


def _row_bits(engine: EngineSpec) -> int:
    return engine.cols * slot_bits(engine.result_bits)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How operands and results of an engine lie in memory.

    Weights and parameters lie in the order of their beats, each beat from `stride` on, once: what an engine takes
    again and again is read again and again. Activations are row-major; so are results. Numbers are little-endian, each
    in the next power of two of bits.

    Parameters
    ----------
    engine : EngineSpec
    bus : Bus
    weight_cache : int
        Bytes of weights that are kept on chip while panels of rows pass.
    """

    engine: EngineSpec
    bus: Bus
    weight_cache: int = 0

    def __post_init__(self) -> None:
        least = self._kept_unit // 8
        if self.weight_cache and self.weight_cache < 2 * least:
            raise ValueError(f"Tiling weight_cache must be 0 or at least {2 * least} bytes, not {self.weight_cache}")
        if _row_bits(self.engine) < 8:
            raise ValueError(
                f"Array cols must be at least {8 // slot_bits(self.engine.result_bits)} for results of "
                f"{self.engine.result_bits} bits on a bus, which writes whole bytes, not {self.engine.cols}"
            )
        if not fits_bus(self.engine, self.bus):
            raise ValueError(
                f"Bus data_bits must divide, or be a multiple of, the {_row_bits(self.engine)} bits of "
                f"{self.engine.cols} results, not be {self.bus.data_bits}; columns that are a power of two always fit"
            )

    @cached_property
    def digest(self) -> int:
        """32 bits that tell whether an image was made for this engine and bus."""
        text = repr((self.engine, self.bus.data_bits, VERSION))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

    def stride(self, stream: str) -> int:
        """Bits from one beat of a stream to the next: weights lie close, of parameters there are few."""
        bits, word = self.engine.stream_bits[stream], self.bus.data_bits
        return stride_bits(bits, word) if stream == "weight" else max(8, chunk_bits(bits, word))

    @property
    def _kept_unit(self) -> int:
        """Bits of the fewest beats of weights that are whole words."""
        return lcm(self.stride("weight"), self.bus.data_bits)

    @property
    def kept_words(self) -> int:
        """Words of weights that a cache has room for."""
        return 8 * self.weight_cache // self._kept_unit * (self._kept_unit // self.bus.data_bits)

    @property
    def kept_beats(self) -> int:
        """Beats of weights that these are."""
        return self.kept_words * self.bus.data_bits // self.stride("weight")

    @property
    def act_code(self) -> int:
        """Bits of a code of an activation; where there are several modes, of all codes of a row of the array."""
        return self.engine.modes[0].act.bits if self._one_mode else self.engine.row_code_bits

    @property
    def act_slot(self) -> int:
        """Bits that it takes in memory."""
        return slot_bits(self.act_code)

    @property
    def act_lanes(self) -> int:
        """Codes of one row of the array."""
        return self.engine.lanes if self._one_mode else 1

    @property
    def act_word(self) -> int:
        """Bits of the activations of one row of the array."""
        return self.act_slot * self.act_lanes

    @property
    def act_words(self) -> int:
        """Rows of the array that one row of A feeds in a step."""
        return self.engine.rows if self.engine.dataflow == "weight_stationary" else 1

    @property
    def act_chunk(self) -> int:
        """Bits that one row of A gives to a step."""
        return chunk_bits(self.act_word * self.act_words, self.bus.data_bits)

    @property
    def result_slot(self) -> int:
        """Bits of a result, which is sign-extended to them."""
        return slot_bits(self.engine.result_bits)

    @property
    def _one_mode(self) -> bool:
        return len(self.engine.modes) == 1

    @property
    def _takes_rows(self) -> bool:
        """Whether there are parameters of rows."""
        return "row" in self.engine.parameters

    def aligned(self, size: int) -> int:
        """``size`` bytes, up to whole words of the bus."""
        return -(-size // self.bus.word_bytes) * self.bus.word_bytes

    def image(self, product: Product) -> bytes:
        """The image of a layer: a head, then its weights and parameters of columns and outputs."""
        schedule = product.schedule(self.engine)
        panels = self._panels(schedule)
        streams = {"weight": weight_payloads(self.engine, product), **self._parameters(product)}
        # each panel takes the same
        once = {name: self._strided(name, beats[: len(beats) // panels]) for name, beats in streams.items()}
        parts = [once.get(name, b"") for name in ("weight", "column", "output")]
        head = {
            "digest": self.digest,
            "steps": len(schedule.k_steps),
            "results": schedule.results,
            "row_bytes": self.row_bytes(product, self.engine.panel_rows),
            "weight_beats": len(streams["weight"]) // panels,
            "blocks": -(-schedule.n // self.engine.cols),
            **{f"{name}_bytes": len(part) for name, part in zip(("weight", "column", "output"), parts, strict=True)},
            **self._command(schedule),
        }
        del head["m"]
        return b"".join(part.ljust(self.aligned(len(part)), b"\0") for part in (HEAD.pack(head), *parts))

    def _panels(self, schedule: Schedule) -> int:
        """Panels of rows of the activations."""
        return -(-schedule.m // self.engine.panel_rows)

    def _command(self, schedule: Schedule) -> dict[str, int]:
        """Fields of the command."""
        payload, values = schedule.command, {}
        for field in self.engine.command:
            values[field.name] = payload & ((1 << field.bits) - 1)
            payload >>= field.bits
        return values

    def _parameters(self, product: Product) -> dict[str, np.ndarray]:
        return parameter_payloads(self.engine, product.schedule(self.engine), product.parameters)

    def _strided(self, stream: str, beats: np.ndarray) -> bytes:
        size = self.stride(stream) // 8
        return np.pad(beats, ((0, 0), (0, size - beats.shape[1]))).tobytes()

    def act_image(self, product: Product) -> bytes:
        """The activations, row by row, `act_stride` apart."""
        schedule, mode = product.schedule(self.engine), self.engine.modes[product.mode]
        steps = schedule.k_steps
        codes = np.where(steps >= 0, integer_array(product.act)[:, steps], 0).reshape(-1, steps.shape[1])
        bits = self.act_slot if self._one_mode else mode.act.bits
        chunks = packed((codes, bits), lanes=mode.lanes, word=self.act_word)
        planes = np.unpackbits(chunks, axis=1, bitorder="little", count=self.act_word * self.act_words)
        planes = np.pad(planes, ((0, 0), (0, self.act_chunk - planes.shape[1])))
        rows = np.packbits(planes.reshape(schedule.m, -1), axis=1, bitorder="little")
        return np.pad(rows, ((0, 0), (0, self.act_stride(product) - rows.shape[1]))).tobytes()

    def act_stride(self, product: Product) -> int:
        """Bytes from one row of activations to the next, where they are as close as can be."""
        return self.aligned(-(-len(product.schedule(self.engine).k_steps) * self.act_chunk // 8))

    def row_image(self, product: Product) -> bytes:
        """The parameters of rows, panel by panel; nothing if the drain edge takes none."""
        slices = self._row_slices(product) if self._takes_rows else []
        return b"".join(one.ljust(self.aligned(len(one)), b"\0") for one in slices)

    def row_bytes(self, product: Product, rows: int) -> int:
        """Bytes of the parameters of so many rows of a panel."""
        return product.schedule(self.engine).sums * rows * self.stride("row") // 8 if self._takes_rows else 0

    def _row_slices(self, product: Product) -> list[bytes]:
        schedule = product.schedule(self.engine)
        beats, blocks, first, slices = self._parameters(product)["row"], -(-schedule.n // self.engine.cols), 0, []
        for start in range(0, schedule.m, self.engine.panel_rows):
            count = schedule.sums * min(self.engine.panel_rows, schedule.m - start)
            slices.append(self._strided("row", beats[first : first + count]))
            first += blocks * count
        return slices

    def result_bytes(self, product: Product) -> int:
        """Bytes of a row of results."""
        return -(-product.planes.shape[2] * self.result_slot // 8)

    def result_stride(self, product: Product) -> int:
        """Bytes from one row of results to the next, where they are as close as can be."""
        return self.aligned(self.result_bytes(product))

    def result_size(self, product: Product) -> int:
        """Bytes of all results, as close as can be."""
        return self.result_stride(product) * len(product.act) * product.schedule(self.engine).results

    def results(self, product: Product, memory: bytes) -> np.ndarray:
        """Results (results, M, N) out of a memory of `result_size` bytes."""
        schedule, stride = product.schedule(self.engine), self.result_stride(product)
        rows = np.frombuffer(memory, np.uint8).reshape(-1, stride)
        planes = np.unpackbits(rows, axis=1, bitorder="little", count=schedule.n * self.result_slot)
        # of all bits of a slot, so that a wrong sign above the result shows
        values = signed_values(planes.reshape(len(rows), schedule.n, self.result_slot))
        return values.astype(integer_type(self.engine.result_bits)).reshape(schedule.results, schedule.m, schedule.n)

    def descriptor(self, product: Product, *, flags: int = 0, **addresses: int) -> bytes:
        """The descriptor of a product whose operands and results lie at these addresses."""
        schedule = product.schedule(self.engine)
        row = self.result_stride(product)
        values = {
            "operation": PRODUCT,
            "flags": flags,
            "m": schedule.m,
            "panels": self._panels(schedule),
            "act_stride": self.act_stride(product),
            "result_stride": row,
            "result_plane": row * schedule.m,
            "row_last_bytes": self.row_bytes(product, (schedule.m - 1) % self.engine.panel_rows + 1),
        }
        return DESCRIPTOR.pack(values | addresses)
