"""Designs: TOML in, TOML out, and nothing that does not fit together."""

import re
import tomllib

import pytest

from dataflow.array.shape import Shape
from macforge.design.choices import AccumulatorChoice
from macforge.design.design import Design, load_design
from macforge.design.named import design_names
from macforge.design.plain import to_toml
from pe.mac import IntegerMac
from sw_ref.arith.accumulate import Accumulator, bits_for
from sw_ref.interval import Interval


@pytest.mark.parametrize("name", design_names())
class TestNamedDesigns:
    def test_says_what_it_is(self, name):
        design = load_design(name)
        assert design.name == name
        assert design.summary and design.source

    def test_comes_back_from_its_toml(self, name, tmp_path):
        design = load_design(name, ["array.rows=2", "tiling.panel_rows=3"])
        path = tmp_path / f"{name}.toml"
        path.write_text(to_toml(design.to_table()))
        assert load_design(path) == design


def test_all_formats_in_both_dataflows_are_named():
    found = {(one.act, one.weight, one.dataflow) for one in map(load_design, design_names())}
    formats = [("int8", "int8"), ("int8", "int4"), ("int8", "int2"), ("int4", "int4")]
    wanted = {(*each, f"{kind}_stationary") for each in formats for kind in ("output", "weight")}
    assert wanted <= found


@pytest.mark.parametrize("group_size, depth", [(0, 4096), (32, 32), (5000, 4096)])
def test_accumulator_holds_the_longest_sum(group_size, depth):
    design = load_design("w4a8_os", [f"tiling.group_size={group_size}"])
    assert design.sums.bits == bits_for(Interval(-128 * 7, 128 * 8), depth)


def test_lanes_round_a_sum_up_to_whole_steps():
    design = load_design("w4a8_os", ["tiling.max_k=4", "lanes=3"])
    assert design.sums.bits == bits_for(Interval(-127 * 8, 128 * 8), 6)


def test_narrow_accumulator_by_name():
    design = load_design("w8a8_os", ["accumulator.bits=12", "accumulator.overflow=wrap"])
    assert design.sums == Accumulator(12, "wrap")


def test_with_settings_replaces_nested_fields():
    design = load_design("w4a8_os").with_settings(["array.rows=2", "options.dsp=auto", "act=uint6"])
    assert isinstance(design.pe, IntegerMac)
    assert (design.array.rows, design.pe.dsp, design.pe.act.name) == (2, "auto", "uint6")
    assert design.array.cols == load_design("w4a8_os").array.cols


@pytest.mark.parametrize("form, scheme", [("int4", "symmetric"), ("uint4", "asymmetric"), ("int1", "asymmetric")])
def test_quantizer_follows_the_format(form, scheme):
    assert load_design("w4a8_os", [f"weight={form}"]).weight_quantizer.scheme == scheme


def test_design_in_python_is_the_same_as_in_toml():
    made = Design(
        name="mine",
        family="mac",
        act="int8",
        weight="int4",
        array=Shape(rows=2, cols=2),
        accumulator=AccumulatorChoice(bits=30),
    )
    given = load_design("w4a8_os", ["array.rows=2", "array.cols=2", "accumulator.bits=30", "options={}"])
    assert made.engine.name == given.engine.name


@pytest.mark.parametrize(
    "setting, message",
    [
        ("act=int9x", r"^Format must be int<1\.\.53> or .*, not 'int9x'; did you mean int8\?$"),
        ("act=int54", r"^Bits must be from 1 to 53, not 54$"),
        ("act=3", r"^Design key act must be text, not 3$"),
        ("family=mca", r"^Design key family must be one of mac, packed, shift_add, .*, not 'mca'; did you mean mac\?$"),
        (
            "dataflow=os",
            r"^Design key dataflow must be output_stationary or weight_stationary, not 'os'",
        ),
        ("lanes=0", r"^Design key lanes must be an integer from 1 to 64, not 0$"),
        ("lanes=true", r"^Design key lanes must be an integer from 1 to 64, not True$"),
        ("array.row=3", r"^Design key must be one of array\.rows, .*, not 'array\.row'; did you mean array\.rows\?$"),
        ("array.rows=300", r"^Design key array\.rows must be an integer from 1 to 256, not 300$"),
        ("array.tile_rows=3", r"^Array tile_rows must divide rows \(8\), not be 3$"),
        ("array=3", r"^Design key array must be a table, not 3$"),
        (
            "accumulator.bits=12",
            r"^Accumulator must have at least 24 bits for sums of 4096 products of int8 and int4, not 12, which are "
            r"sure to hold 1; or its overflow must be wrap or saturate$",
        ),
        (
            "accumulator.overflow=clip",
            r"^Design key accumulator\.overflow must be one of refuse, wrap, saturate, not 'clip'$",
        ),
        ("tiling.group_size=-1", r"^Design key tiling\.group_size must be an integer from 0 to 65535, not -1$"),
        (
            "options.foo=1",
            r"^Option of family mac must be one of pipeline, dsp, lut, structure, not 'foo'$",
        ),
        ("options.dsp=maybe", r"^Option dsp must be none or auto, not 'maybe'$"),
        ("options.pipeline=17", r"^Option pipeline must be an integer from 0 to 16, not 17$"),
        (
            "quantizer.act.scheme=sym",
            r"^Design key quantizer\.act\.scheme must be one of auto, symmetric, .*, not 'sym'",
        ),
        (
            "quantizer.act.granularity=group",
            r"^Quantizer act\.granularity group takes a tiling\.group_size above 0, not 0$",
        ),
        ("rows", r"^Setting must be key=value, such as array\.rows=4, not 'rows'$"),
        ("act.bits=4", r"^Setting 'act\.bits=4' goes below act, which is a single value$"),
    ],
)
def test_what_does_not_fit_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        load_design("w4a8_os", [setting])


def test_unknown_design_names_all_and_the_nearest():
    message = r"^Design must be one of .*w4a8_os.*, not 'w4a8os'; did you mean w4a8_os\?$"
    with pytest.raises(ValueError, match=message):
        load_design("w4a8os")


@pytest.mark.parametrize(
    "text, message",
    [
        ("act = ", r"^Design .* is not TOML: "),
        ('act = "int8"', r"^Design must have the key family$"),
        ("", r"^Design must have the key family$"),
        ("\x00", r"^Design .*mine\.toml is not TOML: "),
        ('act = "int8"\nact = "int4"', r"^Design .*mine\.toml is not TOML: Cannot overwrite a value"),
        (f"x = {'[' * 5000}", r"^Design .*mine\.toml must not be nested so deeply$"),
        ('name = "x"', r"^Design key name must be left out, as a design has the name of its file \(mine\), not 'x'$"),
        ('colour = "red"', r"^Design key must be one of family, act, .*, not 'colour'"),
    ],
)
def test_broken_file_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_design(path)


@pytest.mark.parametrize(
    "encoding, message",
    [
        ("utf-16", r"^Design .*mine\.toml must be text in UTF-8, not have a byte 0xff at 0; it begins as UTF-16 does$"),
        ("latin1", r"^Design .*mine\.toml must be text in UTF-8, not have a byte 0xe9 at 11$"),
    ],
)
def test_other_encodings_are_refused(tmp_path, encoding, message):
    path = tmp_path / "mine.toml"
    path.write_bytes('summary = "é"'.encode(encoding))
    with pytest.raises(ValueError, match=message):
        load_design(path)


def test_mark_in_front_of_utf_8_is_no_part_of_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(load_design("w4a8_os").to_table()), encoding="utf-8-sig")
    assert load_design(path).act == "int8"


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * 101])
def test_names_that_no_file_should_have_are_refused(name):
    with pytest.raises(ValueError, match=r"^Design name must be 1 to 100 printable characters without / and \\, not "):
        Design(name=name, family="mac", act="int8", weight="int4", array=Shape(rows=1, cols=1))


@pytest.mark.parametrize(
    "name, setting, message",
    [
        (
            "w4a8_os",
            "accumulator.fraction=3",
            "accumulator.fraction must be 25 unless accumulator.kind is aligned, not 3",
        ),
        (
            "w4a8_os",
            "accumulator.shape=bf16",
            "accumulator.shape must be 'fp32' unless accumulator.kind is rounded or ",
        ),
        ("bf16_fp32", "accumulator.bits=30", "accumulator.bits must be 0 unless accumulator.kind is exact, not 30"),
        ("w4a8_os", "tiling.drain_lanes=2", "tiling.drain_lanes must be 0 unless the drain edge has a step, not 2"),
        (
            "w4a8_os",
            "quantizer.weight.method=bitmod",
            "quantizer.weight.method must be 'uniform' unless the drain edge has a ",
        ),
        ("mxfp4", "quantizer.act.scheme=cast", "quantizer.act.scheme must be 'auto' unless quantizer.act.method is "),
        ("mxfp4", "quantizer.act.clip_search=2", "quantizer.act.clip_search must be 0 unless quantizer.act.method is "),
        ("mixpe_w4a8", "quantizer.act.block=mxfp4", "quantizer.act.block must be '' unless quantizer.act.method is bl"),
        (
            "mixpe_w4a8",
            "quantizer.weight.planes=2",
            "quantizer.weight.planes must be 1 unless quantizer.weight.method ",
        ),
        ("mixpe_w4a8", "quantizer.act.planes=2", "quantizer.act.planes must be 1, as only weights have a use for it, "),
        ("comet_w4a4_8", "quantizer.act.fraction=0.5", "quantizer.act.fraction must be 0.1, as only weights have a "),
        (
            "mixllm_w4_8a8",
            "quantizer.weight.ratio=2",
            "quantizer.weight.ratio must be 4.0, as only activations have a ",
        ),
        (
            "comet_w4a4_8",
            "quantizer.act.granularity=channel",
            "quantizer.act.granularity must be group with method mixed",
        ),
        ("mxfp4", "quantizer.weight.block=''", "quantizer.weight.block must be one of "),
        (
            "hawqv3_w8a8",
            "drain.act_scale_format=fp16",
            "drain.act_scale_format must be '' unless drain.act_scale is ",
        ),
        ("mixpe_w4a8", "drain.multiplier_bits=16", "drain.multiplier_bits must be 31 unless drain.requantize is a "),
        ("mixpe_w4a8", "drain.accumulator.bits=40", "drain.accumulator.bits must be 0 where sums or scaled sums are "),
        (
            "mixpe_w4a8",
            "drain.accumulator.kind=rounded",
            "drain.accumulator.kind must be 'exact', as floats are those ",
        ),
        ("hawqv3_w8a8", "drain.arithmetic=fp16", "drain.arithmetic must be 'fp32' unless scales or sums are flo"),
    ],
)
def test_what_has_no_effect_is_refused(name, setting, message):
    with pytest.raises(ValueError, match=f"^Design key {re.escape(message)}"):
        load_design(name, [setting])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("w8a8_os", ["options.lut=4", "options.dsp=auto"], r"^Option lut must be 6 unless dsp is none, not 4$"),
        ("flute_nf4a8", ["options.k=4"], r"^Option k must be 2 unless cell is table or ternary_table, not 4$"),
    ],
)
def test_options_that_have_no_effect_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        load_design(name, settings)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^Design must be a file that exists, not .*mine\.toml$"):
        load_design(tmp_path / "mine.toml")
    assert tomllib.loads(to_toml({"a": 1, "b": {"c": [1, 2]}})) == {"a": 1, "b": {"c": [1, 2]}}


@pytest.mark.parametrize(
    "name, setting, message",
    [
        (
            "mixpe_w4a8",
            "drain.scale=flot32",
            r"^Drain scale must be a float such as fp32, fp16, e5m3_ieee or e8m0, ",
        ),
        (
            "mixpe_w4a8",
            "drain.scale=fp8_e4m3",
            r"^Drain scale must be a float with infinities, such as e5m3_ieee, or e8m0, and not fp8_e4m3, whose ",
        ),
        (
            "lut_gemm_q3a8",
            "drain.scale=e8m0",
            r"^Drain scale must be a float that has a 0, such as fp16, as bipolar1 has none, and not e8m0$",
        ),
        ("w4a8_q4_1", "drain.offset=e8m0", r"^Format must be a float with a sign, infinities and NaN, such as fp32, "),
        ("bf16_fp32", "accumulator.shape=e5m3", r"^Format must be a float with a sign, infinities and NaN, such as "),
        ("bf16_fp32", "accumulator.shape=none", r"^Accumulator shape must be a float such as fp32 or e8m13_ieee, not "),
        ("mixpe_w4a8", "drain.weight_zero=nf4", r"^Drain weight_zero must be an integer format such as int8, or none"),
        ("mixpe_w4a8", "drain.bias=yes", r"^Design key drain.bias must be true or false, not 'yes'$"),
        (
            "mixpe_w4a8",
            "drain.act_scale=column",
            r"^Design key drain\.act_scale must be one of none, row, group, not 'column'$",
        ),
        (
            "mixpe_w4a8",
            "drain.scale_terms=2",
            r"^Drain scale_terms must be 1 unless the scale is a power of two, not 2$",
        ),
        ("mixpe_w4a8", "drain.clamp=[1.0]", r"^Design key drain\.clamp must be two numbers, or empty, not \(1\.0,\)$"),
        (
            "qserve_w4a8",
            "drain.accumulator.bits=16",
            r"^Drain accumulator must have at least \d+ bits for 32 sums, not 16",
        ),
        ("hawqv3_w8a8", "drain.act_scale=row", r"^Drain requantize must follow integer steps, not floating scales$"),
        (
            "hawqv3_w8a8",
            "drain.accumulator.bits=40",
            r"^Drain accumulator must have at most 32 bits to requantize, not ",
        ),
        ("hawqv3_w8a8", "drain.clamp=[0.5, 2]", r"^Drain clamp must be two integers where y is an integer, not "),
        (
            "tmac_w2a8",
            "drain.weight_zero=int3",
            r"^Drain zero points must be none with table_int8_bipolar2_x8_k4_p4_lossy8",
        ),
        (
            "subword_int8_int4",
            "drain.weight_zero=int4",
            r"^Drain weight_zero and offset must be none with sub_word_.*, as the sums of rows .* not of all modes$",
        ),
        (
            "subword_int8_int4",
            "tiling.max_k=3",
            r"^Tiling max_k and group_size must be at least 4 for sub_word_.*, not 3$",
        ),
        ("mixllm_w4_8a8", "quantizer.weight.wide=foo", r"^Format must be .*, not 'foo'$"),
        ("lut_tensor_core_w1a8", "options.k=9", r"^Option k must be an integer from 2 to 6, not 9$"),
        ("flute_nf4a8", "weight=codebook[1,2,3]", r"^Codebook must have 2, 4, 8, .* values, not 3$"),
        (
            "mixpe_w4a8",
            "quantizer.act.method=bcq",
            r"^Quantizer act\.method must be one of uniform, mixed, block, not 'bcq'$",
        ),
        (
            "mixpe_w4a8",
            "tiling.max_passes=0",
            r"^Design key tiling\.max_passes must be an integer from 1 to 64, not 0$",
        ),
    ],
)
def test_steps_that_do_not_fit_are_refused(name, setting, message):
    with pytest.raises(ValueError, match=message):
        load_design(name, [setting])


def test_values_too_wide_to_sum_up_take_sums_that_are_floats():
    settings = ["act=posit6_3", "weight=bipolar2", "tiling.max_k=16", "dataflow=output_stationary"]
    message = r"^Accumulator kind must be rounded, aligned or partial for posit6_3, .* in fixed point, not exact$"
    with pytest.raises(ValueError, match=message):
        load_design("posit8", settings)
    assert load_design("posit8", [*settings, "accumulator.kind=rounded"]).sums.name == "fp32"


def test_a_group_of_products_that_take_several_lanes_has_fewer():
    design = load_design("subword_int8_int4", ["tiling.group_size=19", "quantizer.act.granularity=group"])
    assert (design.product_lanes, design.target.group_size, design.act_quantizer.group_size) == (4, 4, 4)
