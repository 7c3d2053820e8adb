"""Flips of single bits: what becomes of some is known beforehand, every bit has a class, and shares have intervals."""

import json
import re

import numpy as np
import pytest

from hw.emit import yosys
from hw.emit.tools import ToolError
from hw.emit.verilog import emit_verilog
from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.inject import campaign
from macforge.inject.campaign import CHUNK, Campaign
from macforge.inject.outcome import KINDS, interval, kinds_of
from macforge.inject.places import PLACES, class_of, classes_of
from sw_ref.accelerator.registers import Cause
from sw_ref.engine.product import expected_results
from tb.faults import ENDS, INJECTION, NEXT, OUTCOME
from tb.state import stored_bits
from tests.quick import some

SETTINGS = ("tiling.max_k=64", "tiling.panel_rows=4")
QUICK = ("w8a8_os", "mixpe_w4a8", "mxfp4")


@pytest.fixture(scope="module")
def small():
    """A design of 2 x 2 cells, whose sums stay in their cells."""
    return Campaign(design=load_design("w8a8_os", SETTINGS).resized(2))


@pytest.fixture(scope="module")
def simulator(small):
    with small.simulator(injections=1) as opened:
        yield opened


def flips(simulator, pattern, *, bits=None, cycles=None, count=40, seed=1):
    """Random ones of registers whose full names fit."""
    random = np.random.default_rng(seed)
    known = [i for i, each in enumerate(simulator.stored) if re.fullmatch(pattern, each.full_name)]
    found = np.zeros(count, INJECTION)
    found["variable"] = random.choice(known, count)
    sizes = [simulator.stored[each].size for each in found["variable"]]
    lowest, end = bits or (0, sizes)
    found["bit"] = random.integers(lowest, end, count)
    first, after = cycles or (0, simulator.window)
    found["cycle"] = random.integers(first, after, count)
    return found


def kinds(outcomes):
    return [list(KINDS)[each] for each in kinds_of(outcomes)]


def changed(simulator):
    """Differences of all results from the model's, of those that are not the model's, after the last injection."""
    found = []
    for one, got in zip(simulator.image.placed[:-1], simulator.image.results(simulator.memory)[:-1], strict=True):
        difference = got.astype(np.int64) - expected_results(simulator.image.layout.engine, one.product)
        found += list(difference[difference != 0])
    return found


@pytest.mark.parametrize(("pattern", "count"), [(r"engine\.results\._\d+_", 60), (r"engine\.array\..*\.acc", 40)])
def test_a_flipped_sum_is_wrong_by_its_bit(simulator, pattern, count):
    """Or it was no result at that time; no other result is wrong, and nothing is said."""
    seen = []
    for flip in flips(simulator, pattern, count=count).reshape(count, 1):
        (kind,) = kinds(simulator.inject(flip, whole=True))
        differences = changed(simulator)
        seen.append(kind)
        assert kind == ("silent" if differences else "masked")
        width = simulator.image.layout.engine.result_bits
        bit = int(flip["bit"][0]) % width
        assert {abs(each) for each in differences} <= {1 << bit}
        assert len(differences) <= 1
    assert set(seen) == {"masked", "silent"}


@pytest.mark.parametrize(("design", "sums"), [("w8a8_os", "acc"), ("w4a8_ws", "below")])
@pytest.mark.parametrize(("checksum", "kind"), [("detect", "detected"), ("correct", "corrected")])
def test_a_flipped_sum_shows_with_check_columns(design, sums, checksum, kind):
    """Also of one beyond the edges of a product, which no result is made of. None is silent."""
    made = Campaign(design=load_design(design, [*SETTINGS, f"array.checksum={checksum}"]).resized(2))
    assert {class_of(each.full_name) for each in made.stored if each.full_name.startswith("engine.verdict.")} == {
        "checks"
    }
    with made.simulator(injections=1) as opened:
        found = kinds(outcomes := opened.inject(flips(opened, rf"engine\.array\.band_0\..*\.{sums}", count=40)))
    assert set(found) == {"masked", kind}
    seen = np.array(found) == kind
    assert (outcomes["faults"][seen] > 0).all()
    assert np.array_equal(outcomes["corrected"], outcomes["faults"] if checksum == "correct" else 0 * seen)
    assert not outcomes["faults"][~seen].any()
    assert outcomes["wrong"].any() == (checksum == "detect")
    assert {NEXT[each] for each in outcomes["next"][seen]} == {"right"}


def test_memory_that_no_product_reaches_is_dead(simulator):
    """Products here have 24 steps along K, of 64 that the panel has room for."""
    depth = next(each for each in simulator.stored if each.full_name == "engine.panel.memory.part_0_0.words")
    found = flips(
        simulator, r"engine\.panel\.memory\.part_0_0\.words", bits=(depth.size - 8 * depth.bits // 8, depth.size)
    )
    outcomes = simulator.inject(found)
    assert set(kinds(outcomes)) == {"masked"}
    assert not outcomes["converged"].any()
    assert {NEXT[each] for each in outcomes["next"]} == {"right"}


def test_errors_are_detected_with_their_causes(simulator):
    for name, cause in (("operation", Cause.OPERATION), ("image", Cause.ADDRESS)):
        outcomes = simulator.inject(flips(simulator, rf"dispatcher\.descriptor_{name}", bits=(0, 3), count=60))
        detected = outcomes["cause"] == cause
        assert detected.any()
        assert {kind for kind, it in zip(kinds(outcomes), detected, strict=True) if it} == {"detected"}
        assert {NEXT[each] for each in outcomes["next"][detected]} == {"right"}


def test_what_stands_still_is_detected_if_the_driver_wants_it_to_go_on(simulator):
    """A reset helps one that was disabled, and does not help where a count of answers to come is wrong."""
    disabled = simulator.inject(flips(simulator, r"control\.enable", cycles=(0, 1), count=1))
    assert (kinds(disabled), NEXT[disabled["reset"][0]]) == (["hung"], "right")
    answers = simulator.inject(flips(simulator, r"write_master\.unanswered", bits=(3, 4), cycles=(9, 20), count=3))
    assert kinds(answers) == ["detected"] * 3
    assert set(answers["cause"]) == {Cause.BUS}
    assert {NEXT[each] for each in answers["reset"]} == {"hung"}
    words = simulator.inject(flips(simulator, r"dispatcher\.words_got", cycles=(9, 30), count=20))
    assert "detected" in kinds(words)
    assert "hung" not in kinds(words)


def test_neither_order_nor_ending_early_matters(simulator):
    found = flips(simulator, r".*", count=100, seed=3)
    outcomes = simulator.inject(found)
    assert np.array_equal(outcomes[::-1], simulator.inject(found[::-1].copy()))
    whole = simulator.inject(found, whole=True)
    assert kinds(whole) == kinds(outcomes)
    early = outcomes["converged"] != 0
    assert early.any()
    assert {NEXT[each] for each in whole["next"][early]} == {"right"}
    assert np.array_equal(whole[~early], outcomes[~early])


def test_stored_bits_are_those_that_yosys_finds(small, tmp_path):
    """Registers, and the words of memories besides."""
    unit = small.design.accelerator
    (tmp_path / "design.v").write_text(emit_verilog(unit))
    script = (
        f"read_verilog design.v; hierarchy -top {unit.name}; proc -noopt; opt_clean; flatten; write_json design.json"
    )
    yosys.run(script, cwd=tmp_path)
    (module,) = json.loads((tmp_path / "design.json").read_text())["modules"].values()
    registers = sum(len(cell["connections"]["Q"]) for cell in module["cells"].values() if cell["type"] == "$dff")
    written = {cell["parameters"]["MEMID"] for cell in module["cells"].values() if cell["type"].startswith("$memwr")}
    memories = sum(each["width"] * each["size"] for name, each in module["memories"].items() if f"\\{name}" in written)
    assert sum(each.size for each in small.stored if each.words == 1) == registers
    assert sum(each.size for each in small.stored if each.words > 1) == memories


@pytest.mark.parametrize("name", some(design_names(), lambda name: name in QUICK))
def test_every_bit_has_a_class(name):
    unit = load_design(name).resized(2).accelerator
    stored = stored_bits(emit_verilog(unit), unit.name)
    classes = classes_of(stored)
    assert sorted(index for indices in classes.values() for index in indices) == list(range(len(stored)))
    assert set(PLACES) - set(classes) <= {"drain", "checks"}
    assert ("drain" in classes) == bool(unit.engine.edge)
    assert ("checks" in classes) == bool(unit.engine.verdict)


def test_a_part_without_a_class_is_named():
    assert class_of("engine.panel.memory.part_0_0.words") == "panel"
    with pytest.raises(
        ToolError, match=r"^Every register must be in a class of registers, .*, but new\.state is in none$"
    ):
        class_of("new.state")


@pytest.mark.parametrize(("count", "total"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 14286)])
def test_intervals_are_those_of_scipy(count, total):
    from scipy.stats import binomtest

    expected = binomtest(count, total).proportion_ci(method="wilson")
    assert interval(count, total) == pytest.approx((expected.low, expected.high))


def test_kinds():
    """A correction counts only where all is right; what was said to be wrong is detected, whatever the results are."""
    done, given_up = ({"end": ENDS.index(each)} for each in ("done", "given up"))
    rows = {
        "masked": [done, {**done, "corrected": 1}],
        "corrected": [{**done, "faults": 2, "corrected": 2}],
        "silent": [{**done, "wrong": 1}, {**done, "outside": 1, "faults": 1, "corrected": 1}],
        "detected": [{**given_up, "wrong": 1}, {**done, "wrong": 1, "faults": 2, "corrected": 1}],
        "hung": [{"end": ENDS.index("late"), "wrong": 1}],
    }
    for kind, fields in ((kind, fields) for kind, each in rows.items() for fields in each):
        outcome = np.zeros(1, OUTCOME)
        for name, value in fields.items():
            outcome[name] = value
        assert kinds(outcome) == [kind]


def test_command(macforge, tmp_path, small, monkeypatch):
    monkeypatch.setattr(campaign, "CHUNK", 50)
    arguments = ("inject", "w8a8_os", "--cells", 2, *(word for each in SETTINGS for word in ("--set", each)))
    code, out, err = macforge(*arguments, "--count", 70, "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert [row["class"] for row in rows] == [name for name in PLACES if name not in ("drain", "checks")]
    assert sum(row["bits"] for row in rows) == sum(each.size for each in small.stored)
    assert sum(row["injections"] for row in rows) == 70
    assert all(sum(row[kind] for kind in KINDS) == row["injections"] for row in rows)
    kind = kinds(small.outcomes(70))
    number = kind.index("silent")
    path = tmp_path / "x.vcd"
    code, out, err = macforge(*arguments, "--only", number, "--waves", path, "--json")
    assert (code, err) == (0, "")
    (again,) = json.loads(out)
    assert (again["injection"], again["outcome"], again["class"]) == (number, "silent", list(small.classes)[number % 7])
    injection = np.concatenate([small.drawn(0)[0], small.drawn(1)[0]])[number]
    assert again["register"] == small.stored[injection["variable"]].full_name
    assert "$enddefinitions" in path.read_text()


def test_draws_do_not_depend_on_how_many(small):
    numbers = np.concatenate([small.drawn(chunk)[0]["variable"] for chunk in (0, 1)])
    classes = list(small.classes.values())
    assert all(variable in classes[number % len(classes)] for number, variable in enumerate(numbers))
    assert len(numbers) == 2 * CHUNK
    assert not np.array_equal(small.drawn(0)[1], small.drawn(1)[1])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--waves", "x.vcd"), "Waves are recorded of one injection, which --only names"),
        (("--only", "1", "--waves", "x.fst"), "Ending of waves must be one of .vcd, not '.fst'"),
    ],
)
def test_bad_requests(macforge, arguments, says):
    code, out, err = macforge("inject", "w8a8_os", *arguments)
    assert (code, out) == (2, "")
    assert says in err
