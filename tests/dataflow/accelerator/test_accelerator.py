"""Accelerators between somebody else's memory and bus master: results, order, and errors."""

from dataclasses import replace

import numpy as np
import pytest

from dataflow.accelerator.accelerator import Accelerator
from macforge.design.design import load_design
from macforge.run.random_products import random_products
from sw_ref.accelerator.bus import Bus
from sw_ref.accelerator.descriptor import HEAD, INTERRUPT, WAIT
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.accelerator.registers import Cause
from sw_ref.engine.product import expected_results
from tb.bad_records import BAD_DESCRIPTORS, BAD_HEADS, add_between
from tests.dataflow.accelerator.driven import START, accelerator, drive, filled, products
from tests.quick import some

SIZES = ((5, 9, 40), (1, 1, 1), (3, 4, 17))
# Of each kind one: rows or columns of the array take activations, in groups, several modes, narrow and wide results.
KINDS = ["mixpe_w4a8", "w8a8_os", "fp8_e4m3_fp32", "hawqv3_w4a4", "lut_gemm_q3a8", "subword_int8_int4", "xr_npe"]


def ring(count):
    return [*START, ["write", "queue_head", count], ["wait", count]]


@pytest.mark.parametrize("name", some(KINDS, KINDS[:2].__contains__))
def test_results_are_those_of_the_model(name):
    unit = accelerator(name)
    given = products(name, SIZES)
    driven = drive(unit, filled(unit, given), [*ring(len(given)), ["read", "products", "done"]], stalls=0.3)
    assert driven.right == [True] * len(given)
    assert driven.figures["done"] == len(given)


NARROW, WIDE = Bus(data_bits=32, burst=4, outstanding=2), Bus(data_bits=512, address_bits=40, burst=8)
BUSES = [("w4a4_os", NARROW), ("bitmod_fp4a8", WIDE), ("mxfp4", NARROW), ("mxfp4", WIDE), ("bitmod_fp4a8", NARROW)]


@pytest.mark.parametrize(("name", "bus"), some(BUSES, BUSES[:1].__contains__))
def test_bus_of_any_width(name, bus):
    unit = accelerator(name, bus=bus)
    given = products(name, ((5, 9, 130),))
    driven = drive(unit, filled(unit, given, base=0x4000), [["write", "queue_base_low", 0x4000], *ring(len(given))])
    assert driven.right == [True] * len(given)


@pytest.mark.parametrize("cols", [3, 6, 12])
def test_rows_of_any_number_of_words(cols):
    """Three words of the bus for a row of a block, and six, with rows that end in the middle of a block and a word."""
    bus = Bus(data_bits=32 if cols == 3 else 64)
    design = load_design("w8a8_os", ["array.rows=2", f"array.cols={cols}"])
    unit, random = Accelerator(engine=design.engine, bus=bus), np.random.default_rng(1)
    given = [
        one
        for m, n, k in ((5, 2 * cols + 1, 20), (2, cols, 7))
        for one in random_products(design, random, m=m, n=n, k=k)
    ]
    driven = drive(unit, filled(unit, given), ring(len(given)), stalls=0.2)
    assert driven.right == [True] * len(given)


def test_ring_of_descriptors_goes_round():
    unit, given = accelerator("w8a8_os"), products("w8a8_os", [(2, 3, 4 + at) for at in range(11)])
    image = MemoryImage(unit.layout, size=4)
    script = [["write", "queue_size", 2], ["write", "control", 1]]
    for one in given[:4]:
        image.add(one)
    # those of the second round are those of the first: four at a time, then the rest of them
    script += [
        ["write", "queue_head", 4],
        ["wait", 4],
        ["write", "queue_head", 7],
        ["wait", 7],
    ]
    driven = drive(unit, image, script)
    assert driven.right == [True] * 4
    assert driven.figures["tail"] == 7


def test_next_products_operands_come_while_one_is_computed():
    """Products in one go take less than each for itself."""
    unit, given = accelerator("w8a8_os"), products("w8a8_os", [(4, 4, 30)] * 4)
    cycles = {}
    for how, heads in {"one go": [4], "one by one": [1, 2, 3, 4]}.items():
        waits = [one for head in heads for one in (["write", "queue_head", head], ["wait", head])]
        cycles[how] = drive(unit, filled(unit, given), [*START, *waits, ["read", "cycles", "cycles"]]).figures["cycles"]
    predicted = sum(one.schedule(unit.layout.engine).cycles for one in given)
    assert cycles["one go"] < cycles["one by one"]
    assert cycles["one go"] < predicted + 100


def test_result_is_the_next_products_operand():
    """Codes of results, eight bits wide, are codes of activations, once they are in memory."""
    name = "hawqv3_w8a8"
    unit = accelerator(name)
    first, second = products(name, [(6, 16, 40)])[0], products(name, [(6, 5, 16)], seed=2)[0]
    image = MemoryImage(unit.layout)
    result = image.add(first).result
    chained = replace(second, act=expected_results(unit.layout.engine, first)[0] & 0xFF)
    image.add(chained, flags=WAIT, act=result, act_stride=image.layout.result_stride(first))
    driven = drive(unit, image, ring(2), stalls=0.2)
    assert driven.right == [True, True]


def test_interrupts():
    unit, given = accelerator("w8a8_os"), products("w8a8_os", [(2, 3, 4)] * 3)
    image = MemoryImage(unit.layout)
    for one, flags in zip(given, (0, INTERRUPT, 0), strict=True):
        image.add(one, flags=flags)
    script = [*START, ["write", "interrupt_enable", 1], ["write", "queue_head", 1], ["wait", 1]]
    script += [["read", "interrupt_status", "before"], ["interrupt", "line before"]]
    script += [
        ["write", "queue_head", 3],
        ["wait", 3],
        ["read", "interrupt_status", "after"],
        ["interrupt", "line after"],
    ]
    script += [["write", "interrupt_status", 1], ["read", "interrupt_status", "cleared"], ["interrupt", "line cleared"]]
    figures = drive(unit, image, script).figures
    assert [figures[key] for key in ("before", "after", "cleared")] == [0, 1, 0]
    assert [figures[f"line {key}"] for key in ("before", "after", "cleared")] == [0, 1, 0]


# What is found only by what comes after it, of products of (4, 5, 30) behind words of 64 bits.
BAD_LENGTHS = {
    "too few panels": (Cause.LENGTH, {"panels": 1}),
    "too many panels": (Cause.LENGTH, {"panels": 3}),
}
BAD_PARTS = {
    "too few weights": (Cause.LENGTH, {"weight_bytes": 8}),
    "too many weights": (Cause.LENGTH, {"weight_bytes": 200}),
    "too few steps": (Cause.LENGTH, {"steps": 20}),
    "too many steps": (Cause.LENGTH, {"steps": 40}),
}
# What was wrong, and on with the next.
AFTER = [["error"], ["write", "status", 2]]


def test_bad_descriptors_are_given_up_and_the_next_ones_done():
    """Every fault between two products that are right."""
    unit, given = accelerator("w8a8_os"), products("w8a8_os", [(4, 5, 30)] * 41)
    image = MemoryImage(unit.layout, size=64)
    faults = add_between(image, given, {**BAD_DESCRIPTORS, **BAD_LENGTHS}, {**BAD_HEADS, **BAD_PARTS})
    count = len(image.placed)
    assert count == len(given) == 2 * len(faults) + 1
    wait = ["wait", count]
    script = [["write", "queue_size", 6], ["write", "control", 1], ["write", "queue_head", count]]
    driven = drive(unit, image, [*script, *[wait, *AFTER] * len(faults), wait, ["read", "errors", "errors"]])
    told = {name: (int(cause), 2 * at + 1) for at, (name, cause) in enumerate(faults.items())}
    assert dict(zip(faults, map(tuple, driven.figures["errors told"]), strict=True)) == told
    assert driven.figures["errors"] == len(faults)
    assert driven.right[::2] == [True] * (len(faults) + 1)
    assert driven.figures["tail"] == count


BROKEN = {
    "descriptor": Cause.READ_DESCRIPTOR,
    "image": Cause.READ_DESCRIPTOR,
    "act": Cause.READ_ACT,
    "row": Cause.READ_ROW,
    "weight": Cause.READ_WEIGHT,
    "column": Cause.READ_COLUMN,
    "result": Cause.WRITE_RESULT,
}


def test_errors_of_the_bus_are_told_and_the_next_products_done():
    """The memory fails in one place of every other product; those between are right."""
    count = 2 * len(BROKEN) + 1
    unit, given = accelerator(), products("mixpe_w4a8", [(7, 5, 60)] * count)
    image, broken = filled(unit, given, size=16), []
    for at, what in enumerate(BROKEN):
        placed = image.placed[2 * at + 1]
        head = HEAD.unpack(bytes(image.content[placed.image - image.base :][:64]))
        places = {"descriptor": image.base + 64 * (2 * at + 1), "weight": placed.image + 64}
        places["column"] = places["weight"] + unit.layout.aligned(head["weight_bytes"])
        first = places.get(what) or getattr(placed, what)
        broken.append((first, first + 1))
    script = [*START, ["write", "queue_head", count], *[["wait", count], *AFTER] * len(BROKEN), ["wait", count]]
    driven = drive(unit, image, script, broken=broken, stalls=0.2)
    assert driven.figures["errors told"] == [[int(cause), 2 * at + 1] for at, cause in enumerate(BROKEN.values())]
    assert driven.right[::2] == [True] * (len(BROKEN) + 1)


def test_more_descriptors_than_the_ring_has():
    unit, given = accelerator("w8a8_os"), products("w8a8_os", [(2, 2, 4)] * 4)
    image = filled(unit, given, size=4)
    script = [["write", "queue_size", 2], ["write", "control", 1], ["write", "queue_head", 5], ["wait", 5], ["error"]]
    script += [
        ["write", "control", 2],
        ["cycles", 30],
        ["write", "control", 1],
        ["write", "queue_head", 4],
        ["wait", 4],
    ]
    driven = drive(unit, image, script)
    assert driven.figures["errors told"] == [[int(Cause.OVERRUN), 0]]
    assert driven.right == [True] * 4


def test_reset_by_register_while_products_are_under_way():
    """What was asked of the bus is taken, and what comes afterwards is right."""
    unit, given, script = accelerator(), products("mixpe_w4a8", [(7, 5, 60)] * 3), [["write", "queue_size", 4]]
    times = (1, 40, 90, 200, 400)
    for after in times:
        script += [["write", "control", 1], ["write", "queue_head", 3], ["cycles", after], ["write", "control", 2]]
        script += [["cycles", 150], ["read", "queue_tail", f"tail after {after}"]]
        script += [["read", "status", f"status after {after}"]]
    driven = drive(unit, filled(unit, given), [*script, *ring(3)], stalls=0.2)
    assert [driven.figures[f"{what} after {after}"] for what in ("tail", "status") for after in times] == [0] * 10
    assert driven.right == [True] * 3


def test_reset_by_register_while_a_product_is_given_up():
    """No error stays, also of a reset that comes while the rest of what was asked of the bus is awaited."""
    unit, (one,), script = accelerator("w8a8_os"), products("w8a8_os", [(4, 5, 30)]), [["write", "queue_size", 4]]
    image, times = filled(unit, [one]), range(60, 130)
    for after in times:
        script += [["write", "control", 1], ["write", "queue_head", 1], ["cycles", after], ["write", "control", 2]]
        script += [["cycles", 150], *(["read", name, f"{name} after {after}"] for name in ("queue_tail", "status"))]
    act = image.placed[0].act
    driven = drive(unit, image, [*script, ["read", "errors", "errors"]], broken=[(act, act + 1)], stalls=0.2)
    assert not any(driven.figures[f"{name} after {at}"] for name in ("queue_tail", "status") for at in times)
    # resets came before the product was given up, and after
    assert 0 < driven.figures["errors"] < len(times)


def test_reset_of_everything_while_products_are_under_way():
    unit, given = accelerator(), products("mixpe_w4a8", [(7, 5, 60)] * 2)
    script = [*START, ["write", "queue_head", 2], ["cycles", 120], ["reset"], *ring(2)]
    assert drive(unit, filled(unit, given), script, stalls=0.2).right == [True] * 2


def test_addresses_without_a_register_are_refused():
    unit = accelerator("w8a8_os")
    image = filled(unit, products("w8a8_os", [(1, 1, 1)]))
    driven = drive(unit, image, [["beyond", 0xF0, "responses"], ["read", "id", "id"], ["read", "digest", "digest"]])
    assert driven.figures["responses"] == [3, 3]
    assert driven.figures["id"] == 0x4D414346
    assert driven.figures["digest"] == unit.layout.digest
    assert driven.untouched == [True]


def test_columns_must_fit_the_bus():
    with pytest.raises(ValueError, match=r"^Bus data_bits must divide, or be a multiple of, the 96 bits of 3 results"):
        accelerator("w8a8_os", settings=["array.cols=3", "array.rows=3"], cells=3)


def test_random_products_in_one_go():
    random = np.random.default_rng(5)
    unit = accelerator("w8a8_os")
    sizes = [tuple(random.integers(1, 12, 3).tolist()) for _ in range(16)]
    given = products("w8a8_os", sizes)
    assert drive(unit, filled(unit, given), ring(16), stalls=0.4).right == [True] * 16
