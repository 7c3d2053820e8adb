"""Ten thousand descriptors, good and bad, through one ring: nothing is lost, and nothing is wrong."""

import numpy as np
import pytest

from macforge.driver.device import Device, GivenUpError
from sw_ref.accelerator.descriptor import DESCRIPTOR, INTERRUPT, WAIT
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.accelerator.registers import Cause
from sw_ref.engine.product import expected_results
from tb.bus_simulator import BusSimulator
from tests.dataflow.accelerator.driven import accelerator, products

COUNT, KINDS, RING, BASE = 10_000, 60, 64, 0x10000
# Beyond the memory, where the bus answers with an error.
NOWHERE = 0x4000_0000
# What a bad descriptor has in place of something right, and what it is given up for.
FAULTS = {
    "operation": ({"operation": 9}, Cause.OPERATION),
    "m": ({"m": 0}, Cause.SIZE),
    "act_stride": ({"act_stride": 12}, Cause.ADDRESS),
    "image": ({"image": NOWHERE}, Cause.READ_DESCRIPTOR),
    "act": ({"act": NOWHERE}, Cause.READ_ACT),
    "row": ({"row": NOWHERE}, Cause.READ_ROW),
    "result": ({"result": NOWHERE}, Cause.WRITE_RESULT),
}


class Jobs:
    """Descriptors of random products, each with results of its own."""

    def __init__(self, unit, random):
        sizes = [tuple(random.integers(1, most, endpoint=True)) for most in [(6, 7, 40)] * KINDS]
        self.layout = unit.layout
        self.image = MemoryImage(unit.layout, base=BASE, size=RING)
        for one in products("mixpe_w4a8", sizes):
            self.image.add(one)
        self.kinds = random.integers(0, KINDS, COUNT)
        faults = random.choice(["", *FAULTS], COUNT, p=[0.93, *[0.01] * len(FAULTS)])
        self.records, self.places, self.causes = [], [], [FAULTS[one][1] if one else None for one in faults]
        at = BASE + len(self.image.content)
        for kind, fault in zip(self.kinds, faults, strict=True):
            placed, flags = self.image.placed[kind], int(random.choice([0, INTERRUPT, WAIT]))
            fields = {"image": placed.image, "act": placed.act, "row": placed.row, "result": at}
            record = DESCRIPTOR.unpack(self.layout.descriptor(placed.product, flags=flags, **fields))
            self.records.append(DESCRIPTOR.pack(record | (FAULTS[fault][0] if fault else {})))
            self.places.append(at)
            at += -(-placed.size // 64) * 64
        self.memory = np.concatenate([self.image.array(), np.full(at - BASE - len(self.image.content), 0xA5, np.uint8)])

    def result(self, index, memory):
        """What is where the results of a descriptor are to be."""
        placed = self.image.placed[self.kinds[index]]
        return memory[self.places[index] - BASE :][: placed.size]

    def is_right(self, index, memory):
        product, found = self.image.placed[self.kinds[index]].product, self.result(index, memory).tobytes()
        return np.array_equal(self.layout.results(product, found), expected_results(self.layout.engine, product))


def run(simulator, jobs, random):
    """Submit as many as there is room for, again and again; return which were given up, and why."""
    device = Device(simulator, simulator.memory[: jobs.image.ring_bytes], BASE)
    given, given_up = 0, []
    while True:
        try:
            device.wait(between=lambda: simulator.run(500))
        except GivenUpError as error:
            given_up.append((error.index, error.cause))
            device.resume()
            continue
        if given == COUNT:
            return device, given_up
        count = int(random.integers(1, RING, endpoint=True))
        device.submit(*jobs.records[given : given + count])
        given = min(given + count, COUNT)


@pytest.mark.long
def test_no_result_is_lost_or_wrong():
    unit, random = accelerator(), np.random.default_rng(1)
    jobs = Jobs(unit, random)
    with BusSimulator(unit, jobs.memory, base=BASE, stalls=0.15, cycles=3_000_000) as simulator:
        device, given_up = run(simulator, jobs, random)
        memory, counters = simulator.memory.copy(), device.counters()
        assert simulator.broken == ""
    assert given_up == [(index, cause) for index, cause in enumerate(jobs.causes) if cause]
    assert (counters["products"], counters["errors"]) == (COUNT - len(given_up), len(given_up))
    for index, cause in enumerate(jobs.causes):
        if cause is None:
            assert jobs.is_right(index, memory), index
        elif cause is Cause.WRITE_RESULT:
            assert (jobs.result(index, memory) == 0xA5).all(), index
