"""Where register stages lie among steps, and that everything takes the same way through them."""

from itertools import combinations_with_replacement
from types import SimpleNamespace

import pytest
from amaranth.hdl import Const, Module, Signal
from amaranth.sim import Simulator

from hw.core.number import Number
from hw.core.stages import Step, check_pipeline, run_steps, side_by_side, spread, stages_for
from sw_ref.interval import Interval


def longest(delays, stages):
    """Between registers; what is behind the last of them counts, too."""
    parts = [0]
    for delay, cycles in zip(delays, stages, strict=True):
        parts[-1] += delay
        parts += [0] * cycles
    return max(parts)


@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("registers", range(5))
@pytest.mark.parametrize("delays", [[1], [2, 1, 2, 2, 2], [3, 1, 1, 1], [0, 4, 0], [1, 2, 3, 4, 5, 6], [0, 0]])
def test_longest_delay_is_the_shortest_of_all_choices(delays, registers, behind):
    stages = spread(delays, registers, behind=behind)
    assert sum(stages) == registers and min(stages) >= 0
    if behind and registers:
        assert stages[-1]
    free = registers - behind if registers else 0
    choices = combinations_with_replacement(range(len(delays)), free)
    best = min(
        longest(
            delays, [choice.count(i) + (behind and registers > 0 and i == len(delays) - 1) for i in range(len(delays))]
        )
        for choice in choices
    )
    assert longest(delays, stages) == best


def test_registers_at_an_edge_keep_delays_short():
    steps = [Step(delay, lambda m, at: None) for delay in (2, 2, 3, 3)]
    assert [stages_for(steps[:count]) for count in range(5)] == [0, 0, 0, 1, 2]


def doubled(m, at):
    at.number = at.number + at.number
    at.rest = [at.rest[0], *(SimpleNamespace(value=each.value + 1) for each in at.rest[1:])]


@pytest.mark.parametrize("registers", [0, 1, 2, 5])
def test_all_that_a_stage_holds_is_late_alike(registers):
    m, given = Module(), Signal(4)
    number, word = Number(given, Interval(0, 15)), SimpleNamespace(value=given)
    at = SimpleNamespace(
        number=number, rest=[given, word], known={"it": given}, constant=Const(5, 4), nothing=given[:0]
    )
    steps = [Step(1, doubled), Step(2, doubled), Step(1, doubled)]
    run_steps(m, at, steps, registers=registers)
    assert at.number.interval == Interval(0, 120)
    assert at.constant.value == 5 and len(at.nothing) == 0
    found = []

    async def bench(ctx):
        for cycle in range(16 + registers):
            ctx.set(given, cycle % 16)
            await ctx.delay(1e-9)
            found.append([ctx.get(each) for each in (at.number.value, at.rest[0], at.rest[1].value, at.known["it"])])
            await ctx.tick()

    m.d.sync += Signal().eq(0)
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert found[registers:] == [[8 * n, n, n + 3, n] for n in range(16)]


def test_circuits_side_by_side_do_not_see_each_other():
    def adds(number):
        def build(m, at):
            at.value = at.value + number

        return build

    m, given = Module(), Signal(4)
    at = SimpleNamespace(parts=[SimpleNamespace(value=given), SimpleNamespace(value=given)])
    steps = side_by_side([[Step(1, adds(1)), Step(2, adds(2))], [Step(4, adds(10)), Step(1, adds(20))]])
    assert [step.delay for step in steps] == [4, 2]
    run_steps(m, at, steps, registers=0)

    async def bench(ctx):
        ctx.set(given, 7)
        await ctx.delay(1e-9)
        assert [ctx.get(part.value) for part in at.parts] == [10, 37]

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("pipeline", [-1, True, 1.0, None])
def test_what_is_no_count_of_stages_is_refused(pipeline):
    with pytest.raises(ValueError, match=f"^Pipeline must be 0 or more stages, not {pipeline!r}$"):
        check_pipeline(pipeline)
