"""What the integer multiply-accumulate takes, and how it is called."""

import itertools
import re
from dataclasses import dataclass

import numpy as np
import pytest

from hw.emit import yosys
from hw.emit.verilog import emit_verilog
from pe.base import PEError
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.base import FixedPoint, Format, Int
from sw_ref.interval import Interval


@dataclass(frozen=True)
class Halves(Format):
    """0 and 0.5: no integer format."""

    bits = 1

    @property
    def name(self):
        return "halves"

    @property
    def bounds(self):
        return 0, 0.5

    @property
    def fixed(self):
        return FixedPoint(Interval(0, 1), lsb=-1)

    def encode(self, real):
        return np.rint(2 * np.asarray(real)).astype(np.uint32)

    def decode(self, codes):
        return self.check_codes(codes) / 2


@pytest.mark.parametrize(
    ("act", "weight", "message"),
    [
        (Halves(), Int(4), "Family mac takes integer formats, not act halves"),
        (Int(4), Halves(), "Family mac takes integer formats, not weight halves"),
    ],
)
def test_formats_other_than_integers_are_refused(act, weight, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        IntegerMac(act=act, weight=weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"dsp": dsp}, f"Option dsp must be none or auto, not {dsp!r}") for dsp in ("yes", "", True, None)),
        *(({"lut": lut}, f"Option lut must be 4 or 6, not {lut!r}") for lut in (0, 5, True, "6", None)),
        *(
            ({"structure": each}, f"Option structure must be one of rows, triples, merged, tree, auto, not {each!r}")
            for each in ("", "chains", None)
        ),
        ({"structure": "auto", "dsp": "auto"}, "Option structure must be 'rows' unless dsp is none, not 'auto'"),
        *(
            ({"pipeline": stages}, f"Option pipeline must be an integer from 0 to 16, not {stages!r}")
            for stages in (-1, 17, 1.0, True, None)
        ),
    ],
)
def test_other_options_are_refused(options, message):
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        IntegerMac(act=Int(4), weight=Int(4), **options)


def test_options_are_those_of_the_family_alone():
    assert IntegerMac.options() == ("pipeline", "dsp", "lut", "structure")


@pytest.mark.parametrize(
    ("pe", "name"),
    [
        (IntegerMac(act=Int(8), weight=Int(4)), "mac_int8_int4"),
        (IntegerMac(act=Int(8), weight=Int(2, signed=False), lanes=4), "mac_int8_uint2_x4"),
        (IntegerMac(act=Int(8), weight=Int(8), dsp="auto"), "mac_int8_int8_dsp"),
        (IntegerMac(act=Int(8), weight=Int(8), pipeline=1), "mac_int8_int8_p1"),
        (IntegerMac(act=Int(8), weight=Int(8), lut=4, pipeline=3), "mac_int8_int8_lut4_p3"),
        (IntegerMac(act=Int(8), weight=Int(8), structure="tree", lut=4), "mac_int8_int8_tree_lut4"),
        (IntegerMac(act=Int(8), weight=Int(8), lanes=8, structure="auto"), "mac_int8_int8_x8_triples"),
        (IntegerMac(act=Int(8), weight=Int(8), structure="auto"), "mac_int8_int8"),
    ],
)
@pytest.mark.parametrize(
    ("accumulator", "suffix"),
    [
        (Accumulator(24), "_acc24"),
        (Accumulator(16, "wrap"), "_acc16_wrap"),
        (Accumulator(16, "saturate"), "_acc16_sat"),
    ],
)
def test_names_tell_everything(pe, name, accumulator, suffix):
    assert pe.name == name
    assert pe.core(accumulator).name == name + suffix


@pytest.mark.parametrize(
    ("act", "weight", "lanes", "term"),
    [
        (Int(8), Int(8), 1, Interval(-16256, 16384)),
        (Int(8), Int(4, signed=False), 1, Interval(-1920, 1905)),
        (Int(2, signed=False), Int(2, signed=False), 3, Interval(0, 27)),
        (Int(1), Int(1), 4, Interval(0, 4)),
    ],
)
def test_term_and_widths(act, weight, lanes, term):
    pe = IntegerMac(act=act, weight=weight, lanes=lanes)
    assert pe.term == term
    assert (pe.row_bits, pe.column_bits) == (lanes * act.bits, lanes * weight.bits)
    assert pe.row_encoder(masked=True).latency == pe.column_encoder().latency == 0


@pytest.mark.parametrize("pipeline", [0, 1, 16])
def test_pipeline_is_the_latency(pipeline):
    assert IntegerMac(act=Int(4), weight=Int(4), pipeline=pipeline).latency == pipeline


@pytest.mark.long
@pytest.mark.parametrize(("lut", "structure"), list(itertools.product([4, 6], ["rows", "tree"])))
def test_eight_bits_by_eight_are_proven(structure, lut, tmp_path):
    """For all operands at once, by SAT, against ``*`` in Verilog; one lane has no other structures."""
    core = IntegerMac(act=Int(8), weight=Int(8), structure=structure, lut=lut).core(Accumulator(16, "wrap"))
    ports = "input signed [7:0] act, weight, input signed [15:0] addend, output signed [15:0] sum"
    (tmp_path / "gold.v").write_text(f"module gold({ports}); assign sum = act * weight; endmodule\n")
    (tmp_path / "gate.v").write_text(emit_verilog(core))
    script = f"""
        read_verilog gold.v
        prep -top gold
        design -stash gold
        read_verilog gate.v
        prep -flatten -top {core.name}
        design -stash gate
        design -copy-from gold gold
        design -copy-from gate -as gate {core.name}
        miter -equiv -flatten gold gate miter
        hierarchy -top miter
        connect -set in_addend 16'd0
    """
    # in sixteen parts, which take much less time than the whole at once
    cases = [f"sat -verify -set-def-inputs -set in_weight[7:4] {high} -prove trigger 0 miter" for high in range(16)]
    log = yosys.run("\n".join([script, *cases]), cwd=tmp_path)
    assert log.count("no model found: SUCCESS!") == len(cases)
