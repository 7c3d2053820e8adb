"""Accelerators count the faults that their check columns find."""

import pytest

from tests.dataflow.accelerator.driven import START, accelerator, drive, filled, products
from tests.dataflow.planted import Plant

COUNT = 3
READS = (["read", "faults", "faults"], ["read", "faults_corrected", "faults_corrected"])


def run(checksum, *, planted):
    """Figures of some products, in each of which a bit of a sum flips, and which of them are right."""
    settings = [f"array.checksum={checksum}"]
    unit = accelerator("w8a8_os", settings=settings)
    # a sum takes longer to be read than it is until the bit flips
    given = products("w8a8_os", [(2, 2, 300)] * COUNT, settings=settings)
    plant = Plant(unit.engine, after=120) if planted else str
    script = [*START, ["write", "queue_head", COUNT], ["wait", COUNT], *READS]
    driven = drive(unit, filled(unit, given), script, planted=plant)
    return [driven.figures[name] for name in ("faults", "faults_corrected")], driven.right


@pytest.mark.parametrize(
    ("checksum", "corrected", "right"), [("detect", 0, [False] * COUNT), ("correct", COUNT, [True] * COUNT)]
)
def test_faults_are_counted(checksum, corrected, right):
    """One bit of each product: results are wrong without a correction, and right with it."""
    assert run(checksum, planted=True) == ([COUNT, corrected], right)


def test_sound_cells_have_no_faults():
    assert run("correct", planted=False) == ([0, 0], [True] * COUNT)


def test_other_accelerators_have_no_such_registers():
    """A read of one is answered with an error, as that of any place without a register."""
    unit = accelerator("w8a8_os")
    driven = drive(unit, filled(unit, []), [["beyond", 0x6C, "response"]])
    assert driven.figures["response"] == [3, 3]
    assert "faults" not in unit.registers
