"""The baseline computes what it says, and costs what was measured with the pinned tools."""

import pytest

from fpga.baseline import BaselineMac, baseline
from fpga.time.timing import place_and_route
from hw.emit import yosys
from tests.quick import few
from tests.typed import present

SIGNEDNESS = [(True, True), (True, False), (False, True), (False, False)]


@pytest.mark.parametrize(
    ("widths", "xc7", "ecp5"),
    few(
        [
            ((8, 8, 32), 166, 367),
            ((8, 4, 24), 79, 197),
            ((8, 2, 20), 36, 66),
            ((4, 4, 16), 43, 97),
            ((16, 8, 40), 291, 661),
        ],
        3,
    ),
)
def test_luts_without_dsp(widths, xc7, ecp5):
    assert yosys.version() == "0.70"
    for family, lut in (("xc7", xc7), ("ecp5", ecp5)):
        result = baseline(*widths, family=family)
        assert (result.lut, result.ff, result.dsp, result.bram) == (lut, widths[2], 0, 0)


@pytest.mark.parametrize(("family", "lut"), [("xc7", 296), ("ecp5", 628)])
def test_a_product_that_is_not_kept_costs_more(family, lut):
    assert baseline(8, 8, 32, family=family, keep_product=False).lut == lut


@pytest.mark.parametrize(("family", "lut", "ff"), [("xc7", 0, 0), ("ecp5", 64, 32)])
def test_dsp_takes_the_product_and_on_xc7_the_accumulator_too(family, lut, ff):
    result = baseline(8, 8, 32, family=family, dsp=True)
    assert (result.lut, result.ff, result.dsp) == (lut, ff, 1)


@pytest.mark.parametrize(("act_signed", "weight_signed"), SIGNEDNESS)
@pytest.mark.parametrize("widths", [(4, 3, 7), (3, 4, 10), (1, 3, 8), (2, 1, 3)])
def test_accumulates_the_exact_product(widths, act_signed, weight_signed, tmp_path):
    """Proven equal to operands extended bit by bit and multiplied at the accumulator's width."""
    act_bits, weight_bits, acc_bits = widths
    mac = BaselineMac(
        act_bits=act_bits,
        weight_bits=weight_bits,
        acc_bits=acc_bits,
        act_signed=act_signed,
        weight_signed=weight_signed,
    )
    extended = {
        port: f"{{{{{acc_bits - bits}{{{f'{port}[{bits - 1}]' if signed else zero}}}}}, {port}}}"
        for port, bits, signed, zero in (
            ("act", act_bits, act_signed, "1'b0"),
            ("weight", weight_bits, weight_signed, "1'b0"),
        )
    }
    reference = f"""
module reference(input clk, input clear, input en, input [{act_bits - 1}:0] act,
  input [{weight_bits - 1}:0] weight, output reg [{acc_bits - 1}:0] acc);
  always @(posedge clk)
    if (en) acc <= (acc & {{{acc_bits}{{!clear}}}}) + {extended["act"]} * {extended["weight"]};
endmodule
"""
    (tmp_path / "design.v").write_text(mac.verilog + reference)
    yosys.run(
        f"read_verilog design.v\nproc\nequiv_make {mac.name} reference proof\nhierarchy -top proof\n"
        "opt -full\nequiv_simple -undef\nequiv_induct -undef\nequiv_status -assert",
        cwd=tmp_path,
    )


def test_names_tell_the_formats():
    mac = BaselineMac(act_bits=8, weight_bits=4, acc_bits=24, weight_signed=False)
    assert mac.name == "baseline_i8_u4_acc24"
    assert mac.verilog.startswith("module baseline_i8_u4_acc24(")


def test_registered_baseline_can_be_timed():
    mac = BaselineMac(act_bits=4, weight_bits=4, acc_bits=16)
    result = place_and_route(mac.registered_verilog, top=f"{mac.name}_registered", flatten=True)
    assert (result.tool, round(present(result.median_mhz), 1)) == ("nextpnr 0.11.1", 126.3)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((0, 4, 16), r"^Activation must have at least 1 bit, not 0$"),
        ((4, -1, 16), r"^Weight must have at least 1 bit, not -1$"),
        ((8, 8, 15), r"^Accumulator must have at least the product's 16 bits, not 15$"),
    ],
)
def test_widths_that_do_not_fit_are_refused(widths, message):
    with pytest.raises(ValueError, match=message):
        baseline(*widths, family="ecp5")
