"""Drivers against the accelerator in Verilator: the C driver as it is shipped, and the Python one."""

import ctypes
import subprocess

import numpy as np
import pytest

from macforge.driver.device import Device, GivenUpError
from macforge.driver.files import described_registers, register_header, write_driver
from sw_ref.accelerator.bus import DESCRIPTOR_BYTES
from sw_ref.accelerator.descriptor import DESCRIPTOR, INTERRUPT
from sw_ref.accelerator.memory_image import MemoryImage
from sw_ref.accelerator.registers import REGISTERS, Cause
from sw_ref.engine.product import expected_results
from tb.bus_simulator import BusSimulator
from tests.dataflow.accelerator.driven import accelerator, products
from tests.typed import present

BASE = 0x1000
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-ffreestanding"]
SIZES = [(5, 9, 40), (1, 1, 1), (3, 4, 17)]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driver")
    write_driver(folder, html=True)
    return folder


def compiled(folder, *arguments):
    return subprocess.run(["cc", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_c_driver_needs_nothing(sources):
    """Freestanding C99 without a warning, and no function from elsewhere."""
    compiled(sources, *STRICT, "-O2", "-c", "macforge.c", "-o", "macforge.o")
    undefined = subprocess.run(["nm", "-u", "macforge.o"], cwd=sources, capture_output=True, text=True, check=True)
    assert undefined.stdout == ""


def test_registers_of_the_description_are_those_of_the_hardware():
    described = {node.inst_name: node for node in described_registers().registers()}
    assert {name: node.absolute_address for name, node in described.items()} == {
        name: register.offset for name, register in REGISTERS.items()
    }
    causes = next(iter(described["error_cause"].fields())).get_property("encode")
    assert {member.name: member.value for member in present(causes)} == {
        cause.name.lower(): int(cause) for cause in Cause
    }
    for name, node in described.items():
        fields = list(node.fields())
        writes = any(field.is_sw_writable for field in fields)
        clears = any(field.get_property("onwrite") is not None for field in fields)
        assert REGISTERS[name].access == ("w1c" if clears else "rw" if writes else "r"), name


def test_documentation_of_registers(sources):
    assert "macforge accelerator" in (sources / "registers" / "index.html").read_text()
    assert (sources / "macforge_regs.h").read_text() == register_header()


def test_c_header_has_the_records_and_causes(sources):
    """What C makes of the descriptor and of the causes is what the hardware takes and gives."""
    fields = {field.name: (field.offset, field.size) for field in DESCRIPTOR.fields}
    causes = [cause for cause in Cause if cause]
    prints = [f'printf("%zu %zu\\n", offsetof(struct mf_product, {name}), sizeof p.{name});' for name in fields]
    prints += [f'printf("%d\\n", MF_CAUSE_{cause.name});' for cause in causes]
    program = '#include <stdio.h>\n#include "macforge.h"\nint main(void) { struct mf_product p; (void)p;'
    (sources / "sizes.c").write_text(program + "".join(prints) + "return sizeof p != 64; }\n")
    compiled(sources, "-std=c99", "sizes.c", "-o", "sizes")
    shown = subprocess.run([sources / "sizes"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert shown[: len(fields)] == [f"{offset} {size}" for offset, size in fields.values()]
    assert shown[len(fields) :] == [str(int(cause)) for cause in causes]


class Io(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("read", "write", "barrier", "context")]


class CDevice(ctypes.Structure):
    _fields_ = [("io", Io), ("ring", ctypes.c_void_p), ("mask", ctypes.c_uint16), ("head", ctypes.c_uint16)]


def c_driver(sources, simulator, size):
    """The shipped driver on a simulator, whose functions are those of its registers."""
    compiled(sources, *STRICT, "-O2", "-fPIC", "-shared", "macforge.c", "-o", "macforge.so")
    driver, device = ctypes.CDLL(str(sources / "macforge.so")), CDevice()
    driver.mf_init.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint]
    read, write, context = simulator.c_functions()
    io, ring = Io(read, write, None, context), simulator.memory.ctypes.data
    return driver, device, driver.mf_init(ctypes.byref(device), ctypes.byref(io), ring, BASE, size.bit_length() - 1)


def descriptors(image):
    """The ring's content, which the driver is to write itself."""
    given = b"".join(image.descriptors())
    image.content[: DESCRIPTOR_BYTES * image.size] = bytes(DESCRIPTOR_BYTES * image.size)
    return given


def filled(unit, given, size=4):
    image = MemoryImage(unit.layout, base=BASE, size=size)
    for one in given:
        image.add(one)
    return image


def all_right(unit, image, memory):
    return [
        bool(np.array_equal(got, expected_results(unit.layout.engine, one.product)))
        for one, got in zip(image.placed, image.results(memory), strict=True)
    ]


@pytest.mark.parametrize("stalls", [0.0, 0.3])
def test_c_driver_runs_products(sources, stalls):
    unit, given = accelerator(), products("mixpe_w4a8", SIZES)
    image = filled(unit, given)
    records = descriptors(image)
    with BusSimulator(unit, image.array(), base=BASE, cycles=5000, stalls=stalls) as simulator:
        driver, device, status = c_driver(sources, simulator, image.size)
        reference = ctypes.byref(device)
        assert status == 0
        assert driver.mf_matches(reference, bytes(image.content[image.placed[0].image - BASE :][:64])) == 1
        assert driver.mf_submit_all(reference, records, 5) == -2
        assert driver.mf_submit_all(reference, records, 3) == 0
        assert driver.mf_wait(reference, 100_000) == 0
        assert driver.mf_done(reference) == 3
        assert all_right(unit, image, simulator.memory) == [True] * 3
        assert simulator.broken == ""


def test_c_driver_tells_what_was_wrong_and_goes_on(sources):
    unit, given = accelerator(), products("mixpe_w4a8", SIZES)
    image = MemoryImage(unit.layout, base=BASE, size=4)
    for index, one in enumerate(given):
        image.add(one, **({"act": 0x2001} if index == 1 else {}))
    records = descriptors(image)
    with BusSimulator(unit, image.array(), base=BASE, cycles=5000) as simulator:
        driver, device, _status = c_driver(sources, simulator, image.size)
        reference = ctypes.byref(device)
        driver.mf_submit_all(reference, records, 3)
        assert driver.mf_wait(reference, 100_000) == Cause.ADDRESS
        assert driver.mf_failed(reference) == 1
        driver.mf_resume(reference)
        assert driver.mf_wait(reference, 100_000) == 0
        right = all_right(unit, image, simulator.memory)
        assert (right[0], right[2]) == (True, True)


def test_c_driver_refuses_what_is_no_accelerator(sources):
    unit = accelerator()
    image = filled(unit, products("mixpe_w4a8", SIZES[:1]))
    with BusSimulator(unit, image.array(), base=BASE, cycles=5000) as simulator:
        driver, device, _status = c_driver(sources, simulator, image.size)
        wrong = Io(simulator.c_functions()[0], simulator.c_functions()[1], None, simulator.c_functions()[2])
        assert driver.mf_init(ctypes.byref(device), ctypes.byref(wrong), None, BASE, 16) == -5
        assert driver.mf_init(ctypes.byref(device), ctypes.byref(wrong), None, BASE + 8, 2) == -5


def test_python_driver_runs_products():
    """More of them than the ring has, with the doorbell rung as room comes."""
    unit, given = accelerator(), products("mixpe_w4a8", SIZES)
    image = MemoryImage(unit.layout, base=BASE, size=2)
    records = []
    for one in given:
        image.add(one, flags=INTERRUPT)
        records.append(image.descriptors()[-1])
    with BusSimulator(unit, image.array(), base=BASE, cycles=5000, stalls=0.2) as simulator:
        device = Device(simulator, simulator.memory[: image.ring_bytes], BASE)
        device.submit(*records[:2])
        with pytest.raises(ValueError, match=r"^Ring must have room for 1 descriptors, not for 0$"):
            device.submit(records[2])
        device.wait()
        device.submit(records[2])
        device.wait(between=lambda: simulator.run(50))
        assert device.done == 3
        assert all_right(unit, image, simulator.memory) == [True] * 3
        assert device.counters()["products"] == 3
        assert device.read("interrupt_status") == 1
        assert not simulator.interrupt
        device.write("interrupt_enable", 1)
        assert simulator.interrupt


@pytest.mark.parametrize("size", SIZES[:2])
def test_python_driver_tells_what_was_wrong(size):
    """Also where only the last answer of the bus says so, with which the product would be done."""
    unit, given = accelerator(), products("mixpe_w4a8", [size])
    image = MemoryImage(unit.layout, base=BASE, size=1)
    image.add(given[0], result=0x40_0000)
    record = bytes(image.content[:64])
    with BusSimulator(unit, image.array(), base=BASE, cycles=5000) as simulator:
        device = Device(simulator, simulator.memory[:64], BASE)
        device.submit(record)
        with pytest.raises(TimeoutError, match=r"^Product 0 of 1 was not done after 2 polls$"):
            device.wait(polls=2)
        with pytest.raises(GivenUpError, match=r"^Product 0 was given up: write result$") as caught:
            device.wait()
        assert (caught.value.cause, caught.value.index) == (Cause.WRITE_RESULT, 0)
        device.resume()
        device.wait()
        assert device.counters()["errors"] == 1


def test_an_error_waits_for_the_driver():
    """However long that takes, and although the next product had been started: it is told once, and then goes on."""
    unit, given = accelerator(), products("mixpe_w4a8", [SIZES[0], SIZES[0]])
    image = MemoryImage(unit.layout, base=BASE, size=2)
    image.add(given[0], result=0x40_0000)
    image.add(given[1])
    with BusSimulator(unit, image.array(), base=BASE, cycles=50_000) as simulator:
        device = Device(simulator, simulator.memory[: image.ring_bytes], BASE)
        device.submit(*image.descriptors())
        with pytest.raises(GivenUpError, match=r"^Product 0 was given up: write result$"):
            device.wait()
        simulator.run(40_000)
        assert (device.counters()["errors"], device.read("error_cause")) == (1, Cause.WRITE_RESULT)
        device.resume()
        device.wait()
        assert (device.counters()["errors"], device.counters()["products"]) == (1, 1)
        assert all_right(unit, image, simulator.memory)[1]


def test_python_driver_refuses_a_ring_of_another_size():
    unit = accelerator()
    refused = pytest.raises(ValueError, match=r"^Ring must be a power of two of descriptors of 64 bytes .* 192 bytes")
    with BusSimulator(unit, np.zeros(256, np.uint8), base=BASE, cycles=5000) as simulator, refused:
        Device(simulator, simulator.memory[:192], BASE)
