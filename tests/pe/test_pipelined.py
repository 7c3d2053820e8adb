"""Register stages of a core: which counts are taken, and that the latency is what it says."""

import re

import pytest

from pe import FAMILIES
from pe.base import PEError
from pe.pipelined import Pipelined
from sw_ref.arith.accumulate import Accumulator
from sw_ref.formats.catalog import parse_format

# Formats of both sides, lanes and further options.
ELEMENTS = {
    "bit_serial": ("uint1", "uint1", 8, {}),
    "decoded": ("int8", "nf4", 1, {}),
    "float": ("fp8_e4m3", "fp8_e4m3", 2, {}),
    "mac": ("int8", "int4", 2, {}),
    "product_table": ("fp4_e2m1", "fp4_e2m1", 2, {"lut": 4}),
    "shift_add": ("int8", "int4", 2, {}),
    "sub_word": ("int8", "int8", 4, {}),
    "table": ("int8", "bipolar1", 8, {"k": 4}),
    "ternary_table": ("int8", "ternary", 4, {}),
    "xr_npe": ("posit16_1", "posit16_1", 4, {}),
}


def element(family, pipeline):
    act, weight, lanes, options = ELEMENTS[family]
    options = {"pipeline": pipeline, **options}
    return FAMILIES[family](act=parse_format(act), weight=parse_format(weight), lanes=lanes, **options)


def test_every_family_with_stages_is_tried():
    assert set(ELEMENTS) == {name for name, family in FAMILIES.items() if issubclass(family, Pipelined)}


@pytest.mark.parametrize("family", ELEMENTS)
def test_stages_are_the_latency_and_part_of_the_name(family):
    names = set()
    for pipeline in (0, 1, 16):
        pe = element(family, pipeline)
        assert pe.latency == pipeline
        assert (f"_p{pipeline}" in pe.name) == (pipeline > 0)
        names.add(pe.core(Accumulator(40)).name)
    assert len(names) == 3


@pytest.mark.parametrize("family", ELEMENTS)
@pytest.mark.parametrize("pipeline", [-1, 17, True, 1.0, "2", None])
def test_other_counts_are_refused(family, pipeline):
    message = f"Option pipeline must be an integer from 0 to 16, not {pipeline!r}"
    with pytest.raises(PEError, match=f"^{re.escape(message)}$"):
        element(family, pipeline)
