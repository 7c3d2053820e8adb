"""Accelerators in Verilator of which single stored bits are flipped: no Python runs while time passes."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataflow.accelerator.accelerator import Accelerator
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.accelerator.registers import FAULT_COUNTERS
from sw_ref.engine.product import Product, expected_results
from tb.c_library import Functions, OpenedModel, bytes_at, c_library
from tb.library import model_library
from tb.state import Stored, stored_bits, verilator_public

__all__ = ["ENDS", "INJECTION", "NEXT", "OUTCOME", "FaultSimulator"]

_MODEL = Path(__file__).with_name("fault_model.cpp")
_BASE = 0x1000
# The accelerator gives up what has stood still for 16,384 cycles; what takes longer than this never ends.
_STILL, _TIMES = 40_000, 4
# Registers in the order of `Offsets` in the C++.
_OFFSETS = (
    *("control", "status", "queue_base_low", "queue_base_high", "queue_size", "queue_head", "queue_tail"),
    *("error_cause", "interrupt_status", *FAULT_COUNTERS),
)
_NONE = 0xFFFFFFFF
# Of an injection, about.
_CYCLES = 800

INJECTION = np.dtype([("variable", np.uint32), ("bit", np.uint32), ("cycle", np.uint32)])
"""Which of `FaultSimulator.stored`, which bit of all of its words, and after which cycle."""

OUTCOME = np.dtype(
    [
        *((name, np.uint32) for name in ("cycles", "faults", "corrected")),
        *(
            (name, np.uint8)
            for name in ("converged", "end", "cause", "wrong", "outside", "broken", "refused", "lost", "next", "reset")
        ),
    ],
    align=True,
)
"""What was found of an injection, see ``Outcome`` in fault_model.cpp."""

ENDS = ("running", "done", "given up", "late", "no answer")
"""Values of ``end``: products are done, one was given up, the driver's time is over, or a register did not answer."""

NEXT = ("not tried", "right", "wrong", "given up", "hung")
"""Values of ``next`` and ``reset``: what became of the next product, and of one after a reset."""


class FaultSimulator(OpenedModel):
    """An accelerator with products that are run again and again, each time with a fault.

    The driver does what ``macforge.c`` does: it rings the doorbell, polls the status until nothing is under way, reads
    the cause of an error, and goes on. All products but the last are under way at once; the last one is the next, which
    shows whether a fault has left damage behind.

    Parameters
    ----------
    unit : Accelerator
    products : sequence of Product
        Two at least.
    latency : int
        Cycles from a burst's address to its first word.
    stalls : float
        Probability, in each cycle and on each channel, of the memory not being ready.
    seed : int
        Of the stalls, and of what registers hold in the beginning.
    injections : int
        How many are to be run, about: for many, the C++ is compiled for longer.
    verilog : str
        Text with a module of the unit's name in place of the unit's own.
    waves : bool
        Whether waves can be recorded.

    Attributes
    ----------
    stored : list of Stored
        What can be flipped.
    memory : uint8 array
        What the last injection left.
    image : MemoryImage
        What the memory holds at first.
    window : int
        Cycles from the doorbell until the driver knows that all products but the last are done.

    Raises
    ------
    ToolError
        If the run without a fault is not the model's, or cannot be repeated from its middle.
    """

    closes = "fault_close"

    def __init__(
        self,
        unit: Accelerator,
        products: Sequence[Product],
        *,
        latency: int = 20,
        stalls: float = 0.1,
        seed: int = 0,
        injections: int = 1000,
        verilog: str = "",
        waves: bool = False,
    ) -> None:
        text = verilog or emit_verilog(unit)
        library = model_library(
            text,
            top=unit.name,
            model=_MODEL,
            cycles=injections * _CYCLES,
            control=verilator_public(text),
            waves=waves,
        )
        self._library = c_library(library, _functions(waves=waves))
        self._registers = unit.registers
        self._count = len(products) - 1
        self.image = image = MemoryImage(unit.layout, base=_BASE, size=1 << self._count.bit_length())
        for product in products:
            image.add(product)
        content = image.array()
        self._model = self._library.fault_open(image.base, len(content), unit.bus.word_bytes, latency, stalls, seed)
        self.memory = bytes_at(self._library.fault_memory(self._model), len(content))
        self.memory[:] = content
        self.stored, self._variables = self._matched(stored_bits(text, unit.name))
        patience = _STILL + _TIMES * sum(product.schedule(unit.layout.engine).cycles for product in products)
        self.window = self._golden(patience)
        self._judge_golden()

    def inject(self, injections: np.ndarray, *, whole: bool = False, waves: Path | None = None) -> np.ndarray:
        """Run the products once for each injection.

        Parameters
        ----------
        injections : array of INJECTION
        whole : bool
            Whether runs go on to their end also where they cannot be told from the one without a fault any more.
        waves : Path, optional
            Where to write waves (.vcd) of a single one, from the doorbell on.

        Returns
        -------
        array of OUTCOME
            In the same order.
        """
        order = np.argsort(injections["cycle"], kind="stable")
        given = np.ascontiguousarray(injections[order])
        given["variable"] = self._variables[given["variable"]]
        found = np.zeros(len(given), OUTCOME)
        if waves is not None:
            self._library.fault_waves(self._model, str(waves).encode())
        self._library.fault_inject(self._model, given.ctypes.data, len(given), self._count, whole, found.ctypes.data)
        if waves is not None:
            self._library.fault_waves(self._model, None)
        outcomes = np.zeros_like(found)
        outcomes[order] = found
        return outcomes

    def _matched(self, stored: list[Stored]) -> tuple[list[Stored], np.ndarray]:
        """What is stored, and the number of each in the simulator, which must have all of it and nothing else."""
        bits, words = ctypes.c_uint(), ctypes.c_uint()
        known = {}
        for index in range(self._library.fault_variables(self._model)):
            name = self._library.fault_variable(self._model, index, ctypes.byref(bits), ctypes.byref(words)).decode()
            known[name] = (index, bits.value, words.value)
        wanted = {each.full_name: (each.bits, each.words) for each in stored}
        if (found := {name: (bits, words) for name, (_index, bits, words) in known.items()}) != wanted:
            wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
            raise ToolError(f"Simulator must have all registers, but differs in {len(wrong)}: {wrong[0]}")
        return stored, np.array([known[each.full_name][0] for each in stored], np.uint32)

    def _golden(self, patience: int) -> int:
        image = self.image
        known = self._registers
        offsets = np.array([known[name].offset if name in known else _NONE for name in _OFFSETS], np.uint32)
        mask = np.zeros(len(image.content), np.uint8)
        for index, one in enumerate(image.placed):
            rows = mask[one.result - image.base :][: one.size].reshape(-1, image.layout.result_stride(one.product))
            rows[:, : image.layout.result_bytes(one.product)] = 1 if index < self._count else 2
        record = np.frombuffer(image.descriptors()[-1], np.uint8)
        window = self._library.fault_golden(
            self._model,
            offsets.ctypes.data,
            image.size.bit_length() - 1,
            self._count,
            patience,
            mask.ctypes.data,
            record.ctypes.data,
            len(record),
        )
        if not window:
            raise ToolError("Accelerator must be done without a fault, and was not")
        return window

    def _judge_golden(self) -> None:
        """Hold the run without a fault against the model, and against itself from its middle on."""
        after, last = (np.zeros(len(self.image.content), np.uint8) for _ in range(2))
        self._library.fault_memories(self._model, after.ctypes.data, last.ctypes.data)
        engine = self.image.layout.engine
        for index, one in enumerate(self.image.placed):
            memory = after if index < self._count else last
            if not np.array_equal(self.image.results(memory)[index], expected_results(engine, one.product)):
                raise ToolError(f"Accelerator must be right without a fault; product {index} was not")
        for part in range(5):
            if not self._library.fault_is_repeated(self._model, part * self.window // 5):
                raise ToolError(f"Run must be the same from cycle {part * self.window // 5} on, and was not")


def _functions(*, waves: bool) -> Functions:
    number, long, data = ctypes.c_uint, ctypes.c_uint64, ctypes.c_void_p
    functions: dict[str, tuple[object, list[object]]] = {
        "fault_open": (data, [long, long, number, long, ctypes.c_double, long]),
        "fault_close": (None, [data]),
        "fault_memory": (data, [data]),
        "fault_variables": (number, [data]),
        "fault_variable": (ctypes.c_char_p, [data, number, data, data]),
        "fault_golden": (number, [data, data, number, number, number, data, data, number]),
        "fault_memories": (None, [data, data, data]),
        "fault_inject": (None, [data, data, number, number, ctypes.c_int, data]),
        "fault_is_repeated": (ctypes.c_int, [data, number]),
    }
    return functions | ({"fault_waves": (None, [data, ctypes.c_char_p])} if waves else {})
