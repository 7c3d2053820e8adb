"""What sweeps can measure of a design: a function for each kind of figures."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fpga.families import find
from macforge.design.design import Design
from macforge.errors import MismatchError
from macforge.extras import require_extras
from macforge.measure.area import area, fmax_mhz
from macforge.measure.simulation import simulate
from sw_ref.engine.schedule import schedule_of

__all__ = ["MEASUREMENTS", "Measurement"]

_AXES = ("family", "seed")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One kind of figures.

    Parameters
    ----------
    function : callable
        ``function(design, *, ...)`` gives figures by their names, as plain data that JSON can hold. What it takes
        besides the design says what they depend on: ``family`` and ``seed`` are axes of a sweep, anything else is an
        option, an int or a float with its default. It is called in other processes, so it must be importable there.
    columns : dict of str to str
        Which figures tables show, and their titles.
    routed : bool
        Whether only families with open place and route have it.
    """

    function: Callable[..., Mapping[str, object]]
    columns: Mapping[str, str] = field(default_factory=dict)
    routed: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """What of ``family`` and ``seed`` the figures depend on."""
        return tuple(name for name in _AXES if name in self._parameters)

    @property
    def options(self) -> dict[str, int | float]:
        """Every option, with its default."""
        return {name: each.default for name, each in self._parameters.items() if name not in _AXES}

    @property
    def _parameters(self) -> dict[str, inspect.Parameter]:
        parameters = inspect.signature(self.function).parameters.items()
        return {name: each for name, each in parameters if each.kind is each.KEYWORD_ONLY}

    def fits(self, family: str) -> bool:
        """Whether there are such figures of this FPGA family."""
        return not self.routed or find(family).has_pnr


def _area(design: Design, *, family: str) -> dict[str, object]:
    table = area(design, family=family, seeds=()).to_table()
    left_out = ("design", "family", "fmax_mhz", "fmax_spread_mhz", "fmax_mhz_by_seed")
    return {key: value for key, value in table.items() if key not in left_out}


def _fmax(design: Design, *, family: str, seed: int) -> dict[str, object]:
    return {"mhz": fmax_mhz(design, family=family, seeds=(seed,))[seed]}


def _schedule(design: Design, *, m: int = 256, n: int = 256, k: int = 256) -> dict[str, object]:
    schedule = schedule_of(design.engine.spec, m=m, n=n, k=k)
    return {"cycles": schedule.cycles, "utilization": schedule.utilization, "macs": schedule.macs}


def _sim(design: Design, *, seed: int, m: int = 0, n: int = 0, k: int = 0, stalls: float = 0.0) -> dict[str, object]:
    report = simulate(design, m=m or None, n=n or None, k=k or None, seed=seed, stalls=stalls)
    if report.failure is not None:
        raise MismatchError(report.failure)
    kept = ("m", "n", "k", "cycles", "predicted_cycles", "utilization")
    return {key: getattr(report, key) for key in kept}


def _accuracy(design: Design, *, sentences: int = 0) -> dict[str, object]:
    require_extras("model")
    # which takes the extra's packages; other measurements do without
    from macforge.measure.accuracy import accuracy

    table = accuracy(design, sentences=sentences).to_table()
    del table["design"]
    return table


MEASUREMENTS: dict[str, Measurement] = {
    "area": Measurement(
        function=_area,
        columns={
            "lut": "LUT",
            "ff": "FF",
            "lut_per_mac": "LUT/MAC",
            "lut_ratio": "ratio",
            "drain_lut_per_mac": "drain",
        },
    ),
    "fmax": Measurement(function=_fmax, columns={"mhz": "MHz"}, routed=True),
    "schedule": Measurement(function=_schedule, columns={"cycles": "cycles", "utilization": "use"}),
    "sim": Measurement(function=_sim, columns={"cycles": "simulated", "predicted_cycles": "predicted"}),
    "accuracy": Measurement(
        function=_accuracy,
        columns={"cosine_mean": "cosine", "cosine_min": "least", "sqnr_db": "SQNR dB"},
    ),
}
"""Every kind of figures, by its name."""
