"""Everything that can be measured of a design: one entry for each measurement, which sweeps and the report share."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fpga.baseline import baseline
from fpga.families import COMPARED, find
from hw.emit.tools import ToolError
from macforge.design.design import Design
from macforge.errors import MismatchError
from macforge.extras import require_extras
from macforge.measure.area import area, fmax_mhz
from macforge.measure.layer import layer_figures
from macforge.measure.simulation import simulate
from macforge.measure.use import ROWS, use_by_rows
from macforge.measure.whole import Top, whole
from sw_ref.engine.schedule import schedule_of

__all__ = ["MEASUREMENTS", "Figure", "InReport", "Measurement"]

_AXES = ("family", "seed")
# What is handed over besides axes and options.
_OPERANDS = ("layer",)


@dataclass(frozen=True)
class Figure:
    """How tables show one figure.

    Parameters
    ----------
    title : str
        The field's term.
    unit : str
        Empty for a plain number, and where the title has it.
    digits : int
        After the point, of numbers below 100.
    note : str
        What it is, in a sentence that the page shows when it is pointed at.
    """

    title: str
    unit: str = ""
    digits: int = 2
    note: str = ""

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} {self.unit}".rstrip()


@dataclass(frozen=True, kw_only=True)
class InReport:
    """How the report takes a measurement.

    Parameters
    ----------
    figures : sequence of str
        What its tables show of the measurement's figures; without, all of them.
    cells : int or None
        Cells each way that arrays are resized to; None to take designs as they are.
    own_model : bool
        Whether it is of a model of its own, and left out of a report on somebody's weights.
    compared_only : bool
        Whether only the families that all designs are compared on are measured.
    whole : bool
        Whether it is of whole engines or accelerators, which the report takes only if asked to.
    """

    figures: tuple[str, ...] = ()
    cells: int | None = None
    own_model: bool = False
    compared_only: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One kind of figures.

    Parameters
    ----------
    function : callable
        ``function(design, *, ...)`` gives figures by their names, as plain data that JSON can hold. What it takes
        besides the design says what they depend on: ``family`` and ``seed`` are axes of a sweep, ``layer`` is the layer
        that a report is on, and anything else is an option, an int, a float or a str with its default. It is called in
        other processes, so it must be importable there.
    figures : dict of str to Figure
        Which figures tables show.
    title : str
        What the report calls it while it is measured; its name, if empty.
    routed : bool
        Whether only families with open place and route have it.
    extras : sequence of str
        Extras of macforge that it takes.
    report : InReport or None
        How the report takes it; None if it does not.
    """

    function: Callable[..., Mapping[str, Any]]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    title: str = ""
    routed: bool = False
    extras: tuple[str, ...] = ()
    report: InReport | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """What of ``family`` and ``seed`` the figures depend on."""
        return tuple(name for name in _AXES if name in self._parameters)

    @property
    def has_layer(self) -> bool:
        """Whether the figures are of a layer."""
        return "layer" in self._parameters

    @property
    def options(self) -> dict[str, int | float | str]:
        """Every option, with its default."""
        return {name: each.default for name, each in self._parameters.items() if name not in _AXES + _OPERANDS}

    @property
    def in_report(self) -> InReport:
        """How the report takes it, of a measurement that it does take."""
        assert self.report is not None
        return self.report

    @property
    def reported(self) -> dict[str, Figure]:
        """The figures that tables of the report show."""
        keys = (self.report.figures if self.report else ()) or tuple(self.figures)
        return {key: self.figures[key] for key in keys}

    @property
    def _parameters(self) -> dict[str, inspect.Parameter]:
        parameters = inspect.signature(self.function).parameters.items()
        return {name: each for name, each in parameters if each.kind is each.KEYWORD_ONLY}

    def fits(self, family: str) -> bool:
        """Whether there are such figures of this FPGA family."""
        return not self.routed or find(family).has_pnr

    def is_reported_on(self, family: str) -> bool:
        """Whether the report has such figures of this FPGA family."""
        return self.fits(family) and (family in COMPARED or not self.in_report.compared_only)

    def measure(self, design: Design, **arguments: object) -> Mapping[str, Any]:
        """The figures.

        Raises
        ------
        ModuleNotFoundError
            If an extra is not installed.
        """
        require_extras(*self.extras)
        return self.function(design, **arguments)

    def measure_for_report(self, design: Design, **arguments: object) -> Mapping[str, Any]:
        """The figures of the design in the size that reports take."""
        cells = self.in_report.cells
        return self.measure(design if cells is None else design.resized(cells), **arguments)


def _area(design: Design, *, family: str) -> dict[str, Any]:
    table = area(design, family=family, seeds=()).to_table()
    left_out = ("design", "family", "fmax_mhz", "fmax_spread_mhz", "fmax_mhz_by_seed", "slowest_by_seed")
    return {**{key: value for key, value in table.items() if key not in left_out}, "int8_size": _int8_size(family)}


def _int8_size(family: str) -> float | None:
    """Size of a plain ``acc + a*b`` of int8 with 32 bits; None if it cannot be mapped."""
    try:
        return baseline(8, 8, 32, family=family).size
    except ToolError:
        return None


def _fmax(design: Design, *, family: str, seed: int) -> dict[str, Any]:
    return {"fmax_mhz": fmax_mhz(design, family=family, seeds=(seed,))[seed]}


def _engine(design: Design, *, family: str) -> dict[str, Any]:
    return whole(design, family=family, seeds=(), unit="engine").resources.to_table("engine_")


def _accelerator(design: Design, *, family: str) -> dict[str, Any]:
    return whole(design, family=family, seeds=(), unit="accelerator").resources.to_table("accelerator_")


def _engine_fmax(design: Design, *, family: str, seed: int) -> dict[str, Any]:
    return _whole_fmax(design, "engine", family, seed)


def _accelerator_fmax(design: Design, *, family: str, seed: int) -> dict[str, Any]:
    return _whole_fmax(design, "accelerator", family, seed)


def _whole_fmax(design: Design, unit: Top, family: str, seed: int) -> dict[str, Any]:
    timing = whole(design, family=family, seeds=(seed,), unit=unit).timing
    slowest = timing.slowest[seed]
    limit = f"{slowest.start} to {slowest.end}, {slowest.logic_ns:.1f} + {slowest.wire_ns:.1f} ns"
    return {f"{unit}_fmax_mhz": timing.fmax_mhz[seed], f"{unit}_limit": limit}


def _whole_figures(unit: Top, what: str) -> dict[str, Figure]:
    return {
        f"{unit}_lut": Figure(f"{unit} LUT", note=f"LUT-equivalents of {what}"),
        f"{unit}_ff": Figure(f"{unit} FF", note=f"Flip-flops of {what}"),
        f"{unit}_bram": Figure(f"{unit} block RAM", note=f"Of {what}"),
    }


def _whole_fmax_figures(unit: Top) -> dict[str, Figure]:
    return {
        f"{unit}_fmax_mhz": Figure(f"{unit} Fmax", "MHz", 0, f"Of the whole {unit}, placed and routed"),
        f"{unit}_limit": Figure(
            f"{unit} limited by", note="The slowest path between registers: in cells, and in wires"
        ),
    }


def _use(design: Design, *, n: int = 576, k: int = 576) -> dict[str, Any]:
    return {f"use_{m}": use for m, use in use_by_rows(design, n=n, k=k).items()}


def _schedule(design: Design, *, m: int = 256, n: int = 256, k: int = 256) -> dict[str, Any]:
    schedule = schedule_of(design.engine.spec, m=m, n=n, k=k)
    return {"cycles": schedule.cycles, "utilization": schedule.utilization, "macs": schedule.macs}


def _sim(design: Design, *, seed: int, m: int = 0, n: int = 0, k: int = 0, stalls: float = 0.0) -> dict[str, Any]:
    report = simulate(design, m=m or None, n=n or None, k=k or None, seed=seed, stalls=stalls)
    if report.failure is not None:
        raise MismatchError(report.failure)
    kept = ("m", "n", "k", "cycles", "predicted_cycles", "utilization")
    return {key: getattr(report, key) for key in kept}


def _accuracy(design: Design, *, sentences: int = 0, transform: str = "") -> dict[str, Any]:
    # which takes the extra's packages; other measurements do without
    from macforge.measure.accuracy import accuracy

    table = accuracy(design, sentences=sentences, transform=transform).to_table()
    del table["design"]
    return table


def _perplexity(design: Design, *, tokens: int = 256, transform: str = "") -> dict[str, Any]:
    # which takes the extra's packages
    from macforge.measure.perplexity import perplexity

    return perplexity(design, tokens=tokens, transform=transform).to_table()


_USE = "Of the cycles of the accelerator, simulated, what the peak of the array or the words on the bus take at least,"
MEASUREMENTS: dict[str, Measurement] = {
    "layer": Measurement(
        function=layer_figures,
        title="verification",
        figures={
            "verified": Figure("verified", note="Every result of the RTL is the model's, bit for bit"),
            "tokens": Figure("tokens", note="Rows of activations that were computed"),
            "sqnr_db": Figure("SQNR", "dB", 1, "Of the layer's results, against the layer in float64"),
            "cycles": Figure("cycles", note="Of the whole layer, as simulated and as predicted"),
            "macs_per_cycle": Figure("MAC/cycle", digits=1, note="Of the layer, all cycles counted"),
            "utilization": Figure("utilization", digits=3, note="Products of cells, of all that they could have done"),
        },
        report=InReport(cells=8),
    ),
    "area": Measurement(
        function=_area,
        figures={
            "lut": Figure("LUT", note="LUT-equivalents of the array, edges of operands included"),
            "ff": Figure("FF", note="Flip-flops of the array"),
            "lut_per_mac": Figure("LUT/MAC", digits=1, note="LUT-equivalents of the array for each product a cycle"),
            "ff_per_mac": Figure("FF/MAC", digits=1, note="Flip-flops of the array for each product a cycle"),
            "baseline_lut": Figure("acc+a*b", "LUT", note="One plain multiply-accumulate of the same widths"),
            "lut_ratio": Figure("LUT ratio", note="LUT/MAC over that of the plain acc + a*b"),
            "drain_lut_per_mac": Figure(
                "drain LUT/MAC", digits=1, note="Drain edge: scales, zero points, requantization"
            ),
        },
        report=InReport(cells=8, figures=("lut_per_mac", "lut_ratio", "ff_per_mac", "drain_lut_per_mac")),
    ),
    "fmax": Measurement(
        function=_fmax,
        title="Fmax",
        figures={"fmax_mhz": Figure("Fmax", "MHz", 0, "Of a small array, placed and routed with seed 1")},
        routed=True,
        report=InReport(cells=2, compared_only=True),
    ),
    "engine": Measurement(
        function=_engine,
        title="whole engine",
        figures=_whole_figures("engine", "array, memories, queues, control and drain edge"),
        report=InReport(whole=True),
    ),
    "accelerator": Measurement(
        function=_accelerator,
        title="whole accelerator",
        figures=_whole_figures("accelerator", "engine and bus: registers, descriptors, readers and writer"),
        report=InReport(whole=True),
    ),
    "engine_fmax": Measurement(
        function=_engine_fmax,
        title="Fmax of the whole engine",
        figures=_whole_fmax_figures("engine"),
        routed=True,
        report=InReport(whole=True, compared_only=True),
    ),
    "accelerator_fmax": Measurement(
        function=_accelerator_fmax,
        title="Fmax of the whole accelerator",
        figures=_whole_fmax_figures("accelerator"),
        routed=True,
    ),
    "use": Measurement(
        function=_use,
        title="use of array and bus",
        figures={
            f"use_{m}": Figure(f"use M = {m}", note=f"{_USE} with {m} row{'s' * (m > 1)} of activations") for m in ROWS
        },
        report=InReport(whole=True),
    ),
    "schedule": Measurement(
        function=_schedule,
        figures={"cycles": Figure("cycles"), "utilization": Figure("utilization", digits=3)},
    ),
    "sim": Measurement(
        function=_sim,
        figures={"cycles": Figure("simulated", "cycles"), "predicted_cycles": Figure("predicted", "cycles")},
    ),
    "accuracy": Measurement(
        function=_accuracy,
        figures={
            "cosine_mean": Figure("cosine", digits=4, note="Of sentence embeddings to those in float32, mean"),
            "cosine_min": Figure("cosine min", digits=4, note="Of the sentence that loses most"),
            "sqnr_db": Figure("SQNR", "dB", 1, "Mean over all layers of the model"),
        },
        extras=("model",),
        report=InReport(figures=("cosine_mean", "cosine_min"), own_model=True),
    ),
    "perplexity": Measurement(
        function=_perplexity,
        figures={
            "ratio": Figure("perplexity", digits=3, note="Of a text by a small language model, over that in floats"),
            "top1": Figure("same top token", digits=3, note="As in floats"),
            "kl": Figure("KL", "nats", 4, "Of the next token's probabilities from those in floats"),
            "requantized": Figure("re-quantized", note="Layers of 210 that are not taken as they are stored"),
        },
        extras=("decoder", "files"),
    ),
}
"""Every measurement, by its name. A new one is a function and an entry here."""
