"""Control under all stalls: what is found of an engine, and of the same with something wrong around it."""

import pytest

from hw.emit.verilog import emit_verilog
from macforge.design.design import load_design
from macforge.prove.control import schedules, small_engine
from tb.formal.reach import FAULTS, FullError, explore

OPERANDS = ("command", "act", "weight", "result")


@pytest.fixture(scope="module")
def engine():
    return small_engine(load_design("w8a8_os"), 1)


def around(engine, **given):
    """The engine in a module ``unit``, of which some outputs are others; ``odd`` is high in every other cycle."""
    ports, pins = ["input clk", "input rst"], [".clk(clk)", ".rst(rst)"]
    wires = ["reg odd, began; reg [2:0] late;", "always @(posedge clk) odd <= !rst && !odd;"]
    wires.append("always @(posedge clk) began <= !rst && (began || command__valid && command__ready);")
    wires.append("always @(posedge clk) late <= rst ? 0 : began && !late[2] ? late + 1 : late;")
    for name, (value, flow) in engine.ports().items():
        ports.append(f"{'input' if flow.name == 'In' else 'output'} [{len(value) - 1}:0] {name}")
        if flow.name == "In":
            pins.append(f".{name}({given.get(name, name)})")
            continue
        wires += [f"wire [{len(value) - 1}:0] own_{name};", f"assign {name} = {given.get(name, f'own_{name}')};"]
        pins.append(f".{name}(own_{name})")
    head = f"module unit({', '.join(ports)});"
    own = emit_verilog(engine, name="own", prefix="own_")
    return "\n".join([own, head, *wires, f"own the_own({', '.join(pins)});", "endmodule", ""])


def test_all_states_of_an_engine_that_is_right(engine):
    """With the wires around it, too; and cycles are those that are predicted."""
    chosen = schedules(engine)
    assert {(each.m, each.n, each.k) for each in chosen} == {(m, n, k) for m in (1, 2) for n in (1, 2) for k in (1, 2)}
    cases = [(each,) for each in chosen]
    for verilog in ("", around(engine)):
        found = explore(engine, cases, stalling=OPERANDS, verilog=verilog)
        assert found.broken is None
        assert found.cycles == tuple(each.cycles for each in chosen)
        assert found.states > 1000 and found.transitions > found.states
    few = explore(engine, cases, stalling=())
    assert few.states < found.states / 10
    assert few.cycles == found.cycles


WRONG = {
    "data": ({"act__ready": "own_act__ready && !act__payload[0]", "act__valid": "act__valid"}, "act", 2),
    "too many": ({"weight__ready": "1"}, "weight", 3),
    "too early": ({"result__valid": "own_result__valid || began"}, "result", 2),
    "last": ({"result__payload": "own_result__payload ^ (1 << 17)"}, "result", 4),
    "withdrawn": ({"result__valid": "own_result__valid && odd", "result__ready": "result__ready && odd"}, "result", 5),
    "stuck": ({"act__valid": "act__valid && !(began && odd)", "act__ready": "own_act__ready && !began"}, "command", 6),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(engine, name):
    """And the way there begins with a command, and is as long as it says."""
    given, stream, fault = WRONG[name]
    found = explore(engine, [(each,) for each in schedules(engine)], stalling=OPERANDS, verilog=around(engine, **given))
    assert found.broken is not None and found.cycles == ()
    assert (found.broken.stream, found.broken.what) == (stream, FAULTS[fault])
    assert len(found.broken.offers) <= found.depth
    assert set().union(*found.broken.offers) <= set(OPERANDS)
    for taken, beats in found.broken.beats.items():
        assert beats <= sum(taken in offered for offered in found.broken.offers)


def test_cycles_of_an_engine_that_waits_are_not_those_that_are_predicted(engine):
    """Activations are taken some cycles later than they could be."""
    late = around(engine, act__valid="act__valid && late[2]", act__ready="own_act__ready && late[2]")
    chosen = schedules(engine)
    found = explore(engine, [(each,) for each in chosen], stalling=OPERANDS, verilog=late)
    assert found.broken is None
    assert all(cycles > each.cycles for cycles, each in zip(found.cycles, chosen, strict=True))


def test_more_states_than_allowed(engine):
    with pytest.raises(FullError, match=r"^More than 100 states can be reached$"):
        explore(engine, [(each,) for each in schedules(engine)], stalling=OPERANDS, most=100)
