"""Records timing diagrams: `python -m docs.figures.waves` simulates small engines and writes WaveDrom JSON.

Every level and value comes from the VCD file of a simulation, sampled at the rising edges of the clock.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataflow.engine.base import Engine
from macforge import Design, compile_layer, load_design
from macforge.run.job import job_of
from sw_ref.engine.product import Product
from sw_ref.engine.schedule import Schedule
from tb.engine import simulate_engine

__all__ = ["FOLDER", "RECORDINGS", "Recording", "engine_and_product", "main", "record"]

FOLDER = Path(__file__).parent / "waves"

_SUMS = ("array.rows=2", "array.cols=2", "tiling.max_k=8", "options.pipeline=0")
_DRAINED = (*_SUMS, "tiling.group_size=4", "tiling.panel_rows=2", "lanes=1")
# cycles in which nothing changes, from which on they are drawn as a gap
_LONGEST = 3
_ORDER = ("command", "act", "weight", "column", "row", "output", "result")


@dataclass(frozen=True)
class Recording:
    """One diagram: a design, the sizes of a product, and the probability of a stall."""

    title: str
    design: str
    settings: tuple[str, ...]
    m: int
    n: int
    k: int
    stalls: float = 0.0


RECORDINGS: Mapping[str, Recording] = {
    "product": Recording("One product, no stalls (output-stationary, 2 x 2 cells)", "w8a8_os", _SUMS, 2, 2, 3),
    "stalls": Recording("The same product with random stalls on every stream", "w8a8_os", _SUMS, 2, 2, 3, 0.3),
    "drain": Recording(
        "Two groups of K and a drain edge (weight-stationary, 2 x 2 cells)", "mixpe_w4a8", _DRAINED, 2, 2, 8
    ),
}
"""Every diagram by the name of its file."""


def engine_and_product(recording: Recording) -> tuple[Engine, Product]:
    """What is simulated. Without a drain edge the codes are ``A[m, k] = 10 m + k + 1`` and ``W[k, n] = n + 1``."""
    design = load_design(recording.design, recording.settings)
    m, n, k = np.arange(recording.m), np.arange(recording.n), np.arange(recording.k)
    if design.edge is None:
        product = Product(act=10 * m[:, None] + k + 1, weight=np.tile(n + 1, (recording.k, 1)))
    else:
        product = _quantized(design, recording)
    return design.engine, product.under(recording.stalls)


def _quantized(design: Design, recording: Recording) -> Product:
    random = np.random.default_rng(0)
    act, weight = random.normal(size=(recording.m, recording.k)), random.normal(size=(recording.k, recording.n))
    (product,) = job_of(compile_layer(design, weight, calibration=act), act).products
    return product


def record(recording: Recording) -> dict[str, object]:
    """Simulate, and give the diagram as WaveDrom has it.

    Raises
    ------
    RuntimeError
        If the simulation fails.
    """
    engine, product = engine_and_product(recording)
    outcome, _simulations = simulate_engine(engine, [product], waves="vcd")
    if outcome.failure is not None or outcome.waves is None:
        raise RuntimeError(f"{recording.title}: {outcome.failure}")
    samples = list(_samples(outcome.waves))
    streams = [name for name in _ORDER if f"{name}__valid" in samples[0]]
    # from the cycle before the command to the one behind the last result
    moved = {name: [i for i, at in enumerate(samples) if _moves(at, name)] for name in ("command", "result")}
    samples = samples[moved["command"][0] - 1 : moved["result"][-1] + 2]
    labels = _labels(engine, product.schedule(engine.spec))
    kept, gaps = _without_gaps(samples)
    signal: list[object] = [{"name": "clk", "wave": _gapped("p" + "." * (len(kept) - 1), gaps)}]
    for name in streams:
        payload, data = _payload_wave(kept, name, labels[name])
        rows = [
            {"name": "payload", "wave": _gapped(payload, gaps), "data": data},
            {"name": "valid", "wave": _gapped(_wave(at[f"{name}__valid"] for at in kept), gaps)},
            {"name": "ready", "wave": _gapped(_wave(at[f"{name}__ready"] for at in kept), gaps)},
        ]
        signal += [{}, [name, *rows]]
    return {"head": {"text": recording.title}, "config": {"hscale": 2}, "signal": signal}


def _moves(sample: Mapping[str, int], stream: str) -> bool:
    return bool(sample[f"{stream}__valid"] and sample[f"{stream}__ready"])


def _samples(vcd: bytes) -> Iterator[dict[str, int]]:
    """Value of every port of the top at each rising edge of the clock: those from just before it."""
    header, _, changes = vcd.decode().partition("$enddefinitions")
    # the ports are the variables of the outermost scope, which come before any inner scope
    outermost = header.split("$scope", 2)[1]
    names = dict(re.findall(r"\$var wire +\d+ (\S+) (\S+) ", outermost))
    values: dict[str, int] = {}
    before: dict[str, int] = {}
    clock = 0
    for line in changes.splitlines():
        if line.startswith("#"):
            if before and values["clk"] and not clock:
                yield before
            clock, before = values.get("clk", 0), dict(values)
        elif change := re.fullmatch(r"(?:b([01]+) |([01]))(\S+)", line):
            vector, scalar, code = change.groups()
            if code in names:
                values[names[code]] = int(vector or scalar, 2)


def _labels(engine: Engine, schedule: Schedule) -> dict[str, Callable[[int, int], str]]:
    """What is written into a beat, given its number and payload."""
    spec, mode = engine.spec, engine.pe.modes[0]
    groups = np.arange(schedule.sums)
    column = schedule.column_beats(np.repeat(groups[:, None], schedule.n, axis=1)).max(axis=1)
    row = schedule.row_beats(100 * groups[:, None] + np.arange(schedule.m))[:, 0]

    def codes(bits: int, signed: bool) -> Callable[[int, int], str]:
        def label(_beat: int, payload: int) -> str:
            count = spec.lanes * (spec.rows if bits == mode.act.bits else spec.cols)
            fields = [payload >> bits * slot & (1 << bits) - 1 for slot in range(count)]
            return ",".join(str(code - (code >> bits - 1 << bits) if signed else code) for code in fields)

        return label

    def command(_beat: int, payload: int) -> str:
        sizes, place = {}, 0
        for field in spec.command:
            sizes[field.name] = payload >> place & (1 << field.bits) - 1
            place += field.bits
        return "{m}x{n}x{k}".format(**sizes)

    def result(_beat: int, payload: int) -> str:
        fields = [payload >> spec.result_bits * col & (1 << spec.result_bits) - 1 for col in range(spec.cols)]
        if spec.drain is None:
            return ",".join(map(str, fields))
        return ", ".join(f"{value:.1f}" for value in np.array(fields, np.uint32).view(np.float32))

    return {
        "command": command,
        "act": codes(mode.act.bits, signed=mode.act.bounds[0] < 0),
        "weight": codes(mode.weight.bits, signed=mode.weight.bounds[0] < 0),
        "column": lambda beat, _payload: f"g{column[beat]}",
        "row": lambda beat, _payload: f"g{row[beat] // 100} m{row[beat] % 100}",
        "result": result,
    }


def _payload_wave(samples: list, name: str, label: Callable[[int, int], str]) -> tuple[str, list[str]]:
    """A brick for each beat, which lasts until it is taken; x while there is none."""
    wave, data, beat, held = "", [], 0, False
    for at in samples:
        if not at[f"{name}__valid"]:
            wave += "x"
        elif held:
            wave += "."
        else:
            wave += "="
            data.append(label(beat, _payload(at, name)))
        held = bool(at[f"{name}__valid"] and not at[f"{name}__ready"])
        beat += _moves(at, name)
    return _merged(wave), data


def _payload(sample: Mapping[str, int], name: str) -> int:
    return sample[f"{name}__payload"]


def _wave(levels: Iterator[int]) -> str:
    return _merged("".join(str(int(level)) for level in levels))


def _merged(wave: str) -> str:
    """Levels that go on are dots."""
    same = [now == before and now != "=" for before, now in zip(" " + wave, wave, strict=False)]
    return "".join("." if dot else level for dot, level in zip(same, wave, strict=True))


def _without_gaps(samples: list) -> tuple[list, set[int]]:
    """The samples without long runs in which nothing changes, and where those were."""
    shown = [{key: level for key, level in at.items() if key.endswith(("valid", "ready"))} for at in samples]
    kept, gaps, run = [], set(), 0
    for index, at in enumerate(samples):
        idle = index and shown[index] == shown[index - 1] and not any(_moves(at, name) for name in _streams(at))
        run = run + 1 if idle else 0
        if run < _LONGEST:
            kept.append(at)
        elif run == _LONGEST:
            gaps.add(len(kept) - 1)
    return kept, gaps


def _streams(sample: Mapping[str, int]) -> list[str]:
    return [key.removesuffix("__valid") for key in sample if key.endswith("__valid")]


def _gapped(wave: str, gaps: set[int]) -> str:
    return "".join("|" if index in gaps and level in ".p" else level for index, level in enumerate(wave))


def main() -> None:
    """Write every diagram."""
    FOLDER.mkdir(exist_ok=True)
    for name, recording in RECORDINGS.items():
        text = json.dumps(record(recording), indent=1)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
