"""Sums of products in every structure, exhaustively where that is short, and what each takes."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from amaranth.hdl import Module, Shape
from amaranth.lib.wiring import In, Out

from fpga import families
from fpga.map.synth import synthesize
from hw.core.number import Number, assign, shape_of
from hw.core.stages import run_steps
from hw.core.unit import Unit
from hw.emit.verilog import emit_verilog
from hw.integer.compress import Count
from hw.integer.dot import STRUCTURES, cheapest, dot_steps, estimate
from sw_ref.interval import Interval
from tb.units import UnitTrial, simulate_units
from tests.quick import each_once

FORMATS = [Interval.of_bits(bits, signed) for bits in (1, 2) for signed in (True, False)] + [Interval(-5, 2)]


class Dot(Unit):
    """The sum of products of all lanes, in any structure."""

    def __init__(self, *, structure, a, b, lanes, lut, pipeline):
        self.given = (structure, a, b, lanes, lut, pipeline)
        self.latency = pipeline
        words = {f"{side}_{lane}": In(Shape(*form)) for side, form in (("a", a), ("b", b)) for lane in range(lanes)}
        self.total = (Interval.of_bits(*a) * Interval.of_bits(*b)).sum_of(lanes)
        super().__init__({**words, "sum": Out(shape_of(self.total))})

    @property
    def name(self):
        structure, *formats, lanes, lut, pipeline = self.given
        spelled = "_".join(f"{'ui'[signed]}{bits}" for bits, signed in formats)
        return f"dot_{structure}_{spelled}_x{lanes}_lut{lut}_p{pipeline}"

    def circuit(self, platform):
        m = Module()
        structure, a, b, lanes, lut, pipeline = self.given
        lane = [(Number(getattr(self, f"a_{i}")), Number(getattr(self, f"b_{i}"))) for i in range(lanes)]
        at = SimpleNamespace(parts=[SimpleNamespace(multiplicand=x, multiplier=y) for x, y in lane])
        steps = dot_steps(structure, Interval.of_bits(*a), Interval.of_bits(*b), lanes=lanes, lut=lut)
        run_steps(m, at, steps, registers=pipeline)
        m.d.comb += assign(self.sum, at.terms[0])
        return m


def case_of(structure, a, b, lanes, lut):
    """For ``evaluate``: operands lane by lane."""

    def build(m, *operands):
        # one module for each, as the names of units are those of their structure
        inner = m.submodules[f"case_{len(list(m._anon_submodules))}_{len(m._named_submodules)}"] = Module()
        lanes_ = zip(operands[::2], operands[1::2], strict=True)
        at = SimpleNamespace(parts=[SimpleNamespace(multiplicand=x, multiplier=y) for x, y in lanes_])
        run_steps(inner, at, dot_steps(structure, a, b, lanes=lanes, lut=lut), registers=0)
        return at.terms[0]

    return build, (a, b) * lanes


def dot(operands):
    return sum(x * y for x, y in zip(operands[::2], operands[1::2], strict=True))


@pytest.mark.parametrize(("structure", "lut"), each_once(STRUCTURES[1:], [4, 6]))
def test_sums_of_two_products_are_exact(structure, lut, evaluate):
    found = evaluate([case_of(structure, a, b, 2, lut) for a, b in itertools.product(FORMATS, FORMATS[:4])])
    for number, values in found:
        assert values == {operands: dot(operands) for operands in values}
        assert number.interval == Interval(min(values.values()), max(values.values()))


@pytest.mark.parametrize("lut", [4, 6])
def test_a_broken_counter_is_found(lut, evaluate, monkeypatch):
    sound = Count.circuit

    def broken(self, platform):
        m = sound(self, platform)
        if len(self.bits) >= 3:
            # the carry of two of three bits is lost
            m.d.comb += self.count[1].eq(self.bits.all())
        return m

    case = case_of("tree", Interval(-2, 1), Interval(0, 3), 3, lut)
    ((_, values),) = evaluate([case])
    assert values == {operands: dot(operands) for operands in values}
    monkeypatch.setattr(Count, "circuit", broken)
    ((_, values),) = evaluate([case])
    assert values != {operands: dot(operands) for operands in values}


def trial_of(unit, random):
    """Corners and random operands."""
    _, a, b, lanes, *_ = unit.given
    inputs = {}
    for side, form in (("a", a), ("b", b)):
        bounds = Interval.of_bits(*form)
        for lane in range(lanes):
            drawn = random.integers(bounds.lo, bounds.hi, 2000, endpoint=True)
            corner = random.integers(0, 4, 2000)
            inputs[f"{side}_{lane}"] = np.choose(corner, [bounds.lo, bounds.hi, drawn, drawn])
    for index, (x, y) in enumerate(itertools.product((0, -1), repeat=2)):
        # all lanes at a corner at once
        for lane in range(lanes):
            inputs[f"a_{lane}"][index] = Interval.of_bits(*a).hi if x else Interval.of_bits(*a).lo
            inputs[f"b_{lane}"][index] = Interval.of_bits(*b).hi if y else Interval.of_bits(*b).lo
    total = np.sum([inputs[f"a_{lane}"] * inputs[f"b_{lane}"] for lane in range(lanes)], axis=0)
    return UnitTrial(unit=unit, inputs=inputs, expected={"sum": total})


@pytest.mark.long
def test_sums_of_many_products_are_exact():
    random = np.random.default_rng(2)
    shapes = [((8, True), (8, True), 4), ((8, True), (4, False), 7), ((9, False), (5, True), 3)]
    units = [
        Dot(structure=structure, a=a, b=b, lanes=lanes, lut=lut, pipeline=(index + lut // 4) % 4)
        for index, (a, b, lanes) in enumerate(shapes)
        for structure, lut in itertools.product(STRUCTURES[1:], (4, 6))
        if (structure, lut) != ("triples", 4)
    ]
    assert simulate_units([trial_of(unit, random) for unit in units]).failure is None


class Side(Unit):
    """Circuits side by side, none of which is left out."""

    def __init__(self, *, units):
        self.units = units
        super().__init__(
            {
                f"{unit.name}_{port}": (Out if port == "sum" else In)(value.shape())
                for unit in units
                for port, (value, _flow) in unit.ports().items()
            }
        )

    @property
    def name(self):
        return "side_by_side"

    def circuit(self, platform):
        m = Module()
        for unit in self.units:
            m.submodules[unit.name] = unit
            for port, (value, _flow) in unit.ports().items():
                own = getattr(self, f"{unit.name}_{port}")
                m.d.comb += own.eq(value) if port == "sum" else value.eq(own)
        return m


@pytest.mark.long
@pytest.mark.parametrize("family", ["ecp5", "xc7"])
def test_estimates_are_confirmed_by_synthesis(family):
    lut = families.find(family).lut
    shapes = [(4, 4, 1), (8, 8, 1), (8, 4, 4), (4, 4, 8), (16, 8, 4)]
    units = {
        (a, b, lanes): {
            structure: Dot(structure=structure, a=(a, True), b=(b, True), lanes=lanes, lut=lut, pipeline=0)
            for structure in STRUCTURES
            # others are the same circuits as rows
            if structure in ("rows", "tree") or (lanes > 2 and (structure, lut) != ("triples", 4))
        }
        for a, b, lanes in shapes
    }
    top = Side(units=tuple(unit for each in units.values() for unit in each.values()))
    synthesis = synthesize(emit_verilog(top), top=top.name, family=family)
    for (a, b, lanes), each in units.items():
        operands = [Interval.of_bits(bits, signed=True) for bits in (a, b)]
        found = {structure: synthesis.inside(unit.module_name).lut for structure, unit in each.items()}
        estimates = {structure: estimate(structure, *operands, lanes=lanes, lut=lut) for structure in found}
        assert found[cheapest(*operands, lanes=lanes, lut=lut)] == min(found.values())
        assert sorted(found, key=found.__getitem__) == sorted(found, key=estimates.__getitem__)
        for structure, tables in found.items():
            assert tables == pytest.approx(estimates[structure], rel=0.1, abs=4)
