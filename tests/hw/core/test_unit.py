"""What makes two units the same circuit, and what a unit is to an Amaranth user."""

import re

import pytest
from amaranth.hdl import Elaboratable, Fragment, Instance, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hw.core.unit import Sharing, Unit, place
from tests.typed import wrong


class Adder(Unit):
    """``sum = x + amount``."""

    def __init__(self, *, width: int, amount: int) -> None:
        self.amount = amount
        super().__init__({"x": In(width), "sum": Out(width)})

    @property
    def name(self) -> str:
        return f"add_{self.amount}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.sum.eq(self.x + self.amount)
        return m


class Subtracter(Adder):
    """``sum = x - amount``."""

    def circuit(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.sum.eq(self.x - self.amount)
        return m


class Nested(Unit):
    """Ports of every sort."""

    def __init__(self) -> None:
        pair = data.StructLayout({"a": 3, "b": 5})
        super().__init__({"words": In(stream.Signature(pair)), "bits": Out(2).array(2), "flag": In(1)})


def test_identity_is_the_class_with_its_arguments():
    one = Adder(width=8, amount=3)
    assert one.identity == Adder(amount=3, width=8).identity
    assert hash(one.identity) == hash(Adder(width=8, amount=3).identity)
    assert one.identity != Adder(width=8, amount=4).identity
    assert one.identity != Subtracter(width=8, amount=3).identity


class Holder(Unit):
    """A unit that is given another."""

    def __init__(self, *, held: Adder) -> None:
        super().__init__({})


def test_identity_is_that_of_units_among_the_arguments():
    one, other = Adder(width=8, amount=3), Adder(width=8, amount=3)
    assert Holder(held=one).identity == Holder(held=other).identity
    assert Holder(held=one).identity != Holder(held=Adder(width=8, amount=4)).identity
    assert Holder(held=one).arguments["held"] is one


def test_arguments_must_be_named():
    with pytest.raises(TypeError, match=r"takes 1 positional argument but 3 were given$"):
        wrong(Adder)(8, 3)


def test_ports_are_flat_and_in_order():
    ports = Nested().ports()
    assert {name: (len(value), flow) for name, (value, flow) in ports.items()} == {
        "words__payload": (8, In),
        "words__valid": (1, In),
        "words__ready": (1, Out),
        "bits__0": (2, Out),
        "bits__1": (2, Out),
        "flag": (1, In),
    }
    assert list(ports) == ["words__payload", "words__valid", "words__ready", "bits__0", "bits__1", "flag"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda unit: unit.name, "Nested must say its module name"),
        (lambda unit: unit.circuit(None), "Nested must describe its circuit"),
    ],
)
def test_what_a_subclass_leaves_out_is_told(call, message):
    with pytest.raises(NotImplementedError, match=f"^{re.escape(message)}$"):
        call(Nested())


def test_platform_that_shares_decides_what_a_unit_becomes():
    shared = Instance("shared")

    class Recorder(Sharing):
        def share(self, unit):
            return shared

    unit = Adder(width=4, amount=1)
    assert Fragment.get(unit, Recorder()) is shared
    assert not isinstance(Fragment.get(unit, None), Instance)


@pytest.mark.parametrize(("kind", "expected"), [(Adder, 13), (Subtracter, 7)])
def test_unit_is_a_component_of_an_amaranth_design(kind, expected):
    class Design(Elaboratable):
        def __init__(self):
            self.x, self.sum = Signal(8), Signal(8)

        def elaborate(self, platform):
            m = Module()
            adder = place(m, "adder", kind(width=8, amount=3))
            assert m.submodules.adder is adder
            assert (adder.x.name, adder.sum.name) == ("adder_x", "adder_sum")
            m.d.comb += [adder.x.eq(self.x), self.sum.eq(adder.sum)]
            return m

    design = Design()

    async def bench(ctx):
        ctx.set(design.x, 10)
        await ctx.delay(1e-9)
        assert ctx.get(design.sum) == expected

    simulator = Simulator(design)
    simulator.add_testbench(bench)
    simulator.run()


def test_signature_is_that_of_a_component():
    unit = Adder(width=4, amount=1)
    assert isinstance(unit, wiring.Component)
    assert dict(unit.signature.members) == {"x": In(4), "sum": Out(4)}
