"""Plays a bench's stimuli to one mutant after the other, in C++, and stops at the first difference from the model."""

import contextlib
import ctypes
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from amaranth.lib.wiring import In

from dataflow.engine.base import Engine
from hw.core.unit import Unit
from sw_ref.engine.product import Product
from sw_ref.payload import joined
from tb.c_library import Functions, c_library
from tb.cycles import Joined, Timetable
from tb.engine import Stimulus, stimulus_of
from tb.library import model_library
from tb.mutation.netlist import SELECTOR, Mutants

__all__ = ["CyclesPlayer", "EnginePlayer"]

_MODEL = Path(__file__).with_name("player.cpp")
# Cycles in which nothing moves: more than any panel or tile of a small engine takes.
_PATIENCE = 5_000
_FAILURES = {
    1: "a result differs",
    2: "it takes other than the predicted cycles",
    3: f"nothing has moved for {_PATIENCE} cycles",
    4: "a ready or valid changed in the cycle in which an input did",
    5: "operands are left over",
    6: "`nonfinite` is wrong",
}


class _Stream(ctypes.Structure):
    _fields_: ClassVar = [
        ("beats", ctypes.c_char_p),
        ("counted", ctypes.c_char_p),
        ("count", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("payload", "bits", "valid", "ready")),
    ]


class _Player:
    """The hardware with its faults, as a library.

    Parameters
    ----------
    mutants : Mutants
        Of a `tb.cycles.Joined` unit.
    """

    def __init__(self, mutants: Mutants, *, cycles: int) -> None:
        self._mutants, self._cycles = mutants, cycles

    @cached_property
    def _library(self) -> ctypes.CDLL:
        path = model_library(self._mutants.verilog, top=self._mutants.unit.name, model=_MODEL, cycles=self._cycles)
        model, data, signed, streams = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.POINTER(_Stream)
        whole, long, number, real = ctypes.c_int, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_double
        functions: Functions = {
            "player_open": (model, [data, long]),
            "player_close": (None, [model]),
            "player_reset": (None, [model]),
            "player_timetable": (signed, [model, long, data, data, long, data, data, long]),
            "player_product": (whole, [model, streams, number, streams, real, long, long, long, signed, whole]),
        }
        return c_library(path, functions)

    @contextlib.contextmanager
    def _model(self, number: int) -> Iterator[int]:
        model = self._library.player_open(f"+{SELECTOR}={number}".encode(), number)
        try:
            yield model
        finally:
            self._library.player_close(model)

    def build(self) -> None:
        """Have the library made and loaded."""
        assert self._library is not None


class CyclesPlayer(_Player):
    """Plays a timetable, as `tb.cycles_bench` does.

    Parameters
    ----------
    mutants : Mutants
        Of `tb.cycles.Joined`.
    timetable : Timetable
        Of the unit that is joined.
    """

    def __init__(self, mutants: Mutants, timetable: Timetable) -> None:
        super().__init__(mutants, cycles=len(timetable.reset) * len(mutants.mutations))
        bits = timetable.bits(_unit(mutants))
        said = {port: np.where(counted, -1, 0) for port, counted in timetable.counted.items()}
        self._reset = timetable.reset.astype(np.uint8)
        self._inputs, self._expected, self._counted = (
            joined(*((words[port], bits[port]) for port in bits if port in words))
            for words in (timetable.inputs, timetable.expected, said)
        )

    def failure(self, number: int) -> str:
        """What is wrong with a mutant; empty if nothing."""
        with self._model(number) as model:
            cycle = self._library.player_timetable(
                model,
                len(self._reset),
                self._reset.tobytes(),
                self._inputs.tobytes(),
                self._inputs.shape[1],
                self._expected.tobytes(),
                self._counted.tobytes(),
                self._expected.shape[1],
            )
        return "" if cycle < 0 else f"a sum differs in cycle {cycle}"


class EnginePlayer(_Player):
    """Plays products through the streams of an engine, as `tb.engine_bench` does.

    Parameters
    ----------
    mutants : Mutants
        Of `tb.cycles.Joined` of the engine.
    products : sequence of Product
    seed : int
        Of the padding.
    """

    def __init__(self, mutants: Mutants, products: Sequence[Product], *, seed: int = 0) -> None:
        self._engine = engine = _unit(mutants)
        assert isinstance(engine, Engine)
        random = np.random.default_rng(seed)
        self._stimuli = [(product, stimulus_of(engine.spec, product, random)) for product in products]
        cycles = sum(stimulus.schedule.cycles for _product, stimulus in self._stimuli)
        super().__init__(mutants, cycles=cycles * len(mutants.mutations))
        self._places = {**_places(engine, inputs=True), **_places(engine, inputs=False)}

    @cached_property
    def _loaded(self) -> list[tuple[Product, Stimulus, Any, _Stream, int]]:
        """Each product with its streams, its results, and whether a result is invalid, once."""
        return [(product, stimulus, *self._streams(stimulus)) for product, stimulus in self._stimuli]

    def build(self) -> None:
        super().build()
        assert self._loaded

    def failure(self, number: int) -> str:
        """What is wrong with a mutant; empty if nothing."""
        flag = self._places.get("nonfinite", (-1, 0))[0]
        with self._model(number) as model:
            self._library.player_reset(model)
            for product, stimulus, streams, results, flagged in self._loaded:
                code = self._library.player_product(
                    model,
                    streams,
                    len(streams),
                    ctypes.byref(results),
                    product.stalls,
                    product.abandon_after or 0,
                    stimulus.schedule.cycles,
                    _PATIENCE,
                    flag,
                    flagged,
                )
                if code:
                    return f"product {stimulus.description['name']}: {_FAILURES[code]}"
                if product.abandon_after is not None:
                    self._library.player_reset(model)
        return ""

    def _streams(self, stimulus: Stimulus) -> tuple[Any, _Stream, int]:
        engine, arrays = self._engine, stimulus.arrays
        names = ("command", "act", "weight", *engine.parameter_bits)
        width = self._places["command__payload"][1]
        command = int(stimulus.description["command"]).to_bytes(-(-width // 8), "little")
        beats = {"command": np.frombuffer(command, np.uint8)[None], **{name: arrays[name] for name in names[1:]}}
        streams = (_Stream * len(names))(*(self._stream(name, beats[name]) for name in names))
        expected, counted, bits = arrays["expected"], arrays["counted"], engine.result_bits
        last = np.arange(len(expected))[:, None] == len(expected) - 1
        fields, said = [(expected, bits)], [(np.where(counted, -1, 0), bits)]
        flagged = 0
        if engine.invalid_bits:
            fields.append((arrays["invalid"].astype(np.int64), 1))
            said.append((counted.astype(np.int64), 1))
            flagged = int((arrays["invalid"] & counted).any())
        fields.append((last.astype(np.int64), 1))
        said.append((np.ones_like(last, np.int64), 1))
        return streams, self._stream("result", joined(*fields), joined(*said)), flagged

    def _stream(self, name: str, beats: np.ndarray, counted: np.ndarray | None = None) -> _Stream:
        payload, bits = self._places[f"{name}__payload"]
        assert beats.shape[1] == -(-bits // 8), f"beats of {name} fill its payload"
        return _Stream(
            beats.tobytes(),
            None if counted is None else counted.tobytes(),
            len(beats),
            payload,
            bits,
            self._places[f"{name}__valid"][0],
            self._places[f"{name}__ready"][0],
        )


def _unit(mutants: Mutants) -> Any:
    """What is joined."""
    assert isinstance(mutants.unit, Joined)
    return mutants.unit.unit


def _places(unit: Unit, *, inputs: bool) -> Mapping[str, tuple[int, int]]:
    """The lowest bit of each port among the inputs or outputs, and its width."""
    found, at = {}, 0
    for name, (value, flow) in unit.ports().items():
        if (flow == In) == inputs:
            found[name] = (at, len(value))
            at += len(value)
    return found
