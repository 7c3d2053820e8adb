"""A family out of another package: installed as a wheel, found by its entry point, simulated, and part of every key."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

SOURCE = '''
"""Weights of one bit, -1 or 0, whose activations are subtracted."""

from dataclasses import dataclass
from typing import ClassVar

from amaranth.hdl import Module

from hw.core.narrow import keep
from hw.core.number import Number, assign, total
from pe.base import PE, Codes, Core, Encoder, PEError
from sw_ref.formats.base import Int
from sw_ref.interval import Interval


@dataclass(frozen=True, kw_only=True)
class SignOnly(PE):
    family: ClassVar[str] = "sign_only"
    summary: ClassVar[str] = "activations subtracted where the weight's bit is set"
    source: ClassVar[str] = "made up"

    def check(self) -> None:
        if self.weight != Int(1):
            raise PEError(f"Family sign_only takes weights of int1, not {self.weight.name}")

    @property
    def row_bits(self) -> int:
        return self.lanes * self.act.bits

    @property
    def column_bits(self) -> int:
        return self.lanes

    @property
    def term(self) -> Interval:
        return (self.act.interval * self.weight.interval).sum_of(self.lanes)

    def row_encoder(self, *, masked: bool) -> Encoder:
        return Codes(bits=self.act.bits, lanes=self.lanes, masked=masked)

    def column_encoder(self) -> Encoder:
        return Codes(bits=1, lanes=self.lanes, masked=False)

    def core(self, accumulator) -> Core:
        return Subtract(pe=self, accumulator=accumulator)


class Subtract(Core):
    def circuit(self, platform) -> Module:
        m = Module()
        lanes = [self.act.word_select(lane, self.pe.act.bits) for lane in range(self.pe.lanes)]
        gated = [act & used.replicate(len(act)) for act, used in zip(lanes, self.weight, strict=True)]
        dot = total(Number(act.as_signed()) for act in gated)
        addend = Number(self.addend.as_signed())
        m.d.comb += assign(self.sum.as_signed(), keep(addend - dot, self.accumulator))
        return m
'''
DESIGN = """
family = "sign_only"
act = "int4"
weight = "int1"
lanes = 2
dataflow = "weight_stationary"
array = { rows = 2, cols = 2 }
tiling = { max_k = 16, panel_rows = 3 }
"""
USE = """
import json, sys
import numpy as np
from macforge import load_design, matmul
from macforge.provenance import made_by
design = load_design(sys.argv[1])
random = np.random.default_rng(0)
act, weight = random.integers(-8, 8, (4, 9)), random.integers(-1, 1, (9, 3))
result = matmul(design, act, weight)
print(json.dumps({
    "right": bool((result.product == act @ weight).all()), "cycles": 0 <= result.cycles - result.predicted_cycles < 300,
    "key": made_by()["families"],
}))
"""


@pytest.fixture
def installed(tmp_path):
    """A folder with the package, put there by pip out of a wheel."""
    wheel = tmp_path / "sign_only-1.0-py3-none-any.whl"
    info = "sign_only-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("sign_only/__init__.py", SOURCE)
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sign-only\nVersion: 1.0\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/entry_points.txt", "[macforge.families]\nsign_only = sign_only:SignOnly\n")
        file.writestr(f"{info}/RECORD", "")
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", target, wheel], check=True, capture_output=True)
    return target


def run(script, *arguments, site):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_family_of_another_package_is_like_any(installed, tmp_path):
    design = tmp_path / "signs.toml"
    design.write_text(DESIGN)
    found = json.loads(run(USE, design, site=installed))
    assert found["right"] and found["cycles"]
    listed = run("from pe import FAMILIES; print(*FAMILIES)", site=installed).split()
    assert listed[-1] == "sign_only"
    # what it computes is part of every key
    source = installed / "sign_only" / "__init__.py"
    source.write_text(source.read_text() + "# changed\n")
    assert json.loads(run(USE, design, site=installed))["key"] != found["key"]


def test_a_name_that_is_taken_is_refused(installed):
    points = next(installed.glob("*.dist-info")) / "entry_points.txt"
    points.write_text("[macforge.families]\nmac = sign_only:SignOnly\n")
    told = run("from pe import FAMILIES\ntry: list(FAMILIES)\nexcept ValueError as error: print(error)", site=installed)
    assert told == "Entry point mac of macforge.families must have a name of its own, not that of pe.mac:IntegerMac\n"
