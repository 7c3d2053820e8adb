"""Memory layouts: widths, records, and images that hold every beat once."""

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.design.named import design_names
from macforge.run.random_products import random_products
from sw_ref.accelerator.bus import Bus, chunk_bits, slot_bits, stride_bits
from sw_ref.accelerator.descriptor import DESCRIPTOR, HEAD
from sw_ref.accelerator.layout import Layout
from sw_ref.engine.beats import weight_payloads
from sw_ref.engine.product import expected_results


@pytest.mark.parametrize("word", [32, 64, 128, 512])
def test_strides_hold_their_beats_and_waste_little(word):
    for beat in range(1, 2000):
        stride = stride_bits(beat, word)
        assert stride >= beat
        assert stride % 8 == 0
        # a quarter at most, but for what is less than a byte
        assert stride - beat < max(8, stride // 4)


@pytest.mark.parametrize(("bits", "slot"), [(1, 1), (4, 4), (5, 8), (8, 8), (20, 32), (28, 32), (123, 128)])
def test_slots_are_powers_of_two(bits, slot):
    assert slot_bits(bits) == slot


@pytest.mark.parametrize(("bits", "chunk"), [(8, 8), (24, 32), (64, 64), (72, 128), (512, 512), (320, 320)])
def test_chunks_divide_words_or_are_whole_ones(bits, chunk):
    assert chunk_bits(bits, 64) == chunk


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data_bits": 48}, r"^Bus data_bits must be one of 32, 64, 128, 256, 512, not 48$"),
        ({"address_bits": 65}, r"^Bus address_bits must be an integer from 16 to 64, not 65$"),
        ({"burst": 12}, r"^Bus burst must be one of 2, 4, 8, 16, 32, 64, 128, 256, not 12$"),
        ({"data_bits": 512, "burst": 128}, r"^Bus burst must be at most 64 words of 512 bits, not 128$"),
    ],
)
def test_buses_that_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Bus(**settings)


@pytest.mark.parametrize("record", [DESCRIPTOR, HEAD])
def test_fields_of_records_do_not_overlap(record):
    covered = [at for field in record.fields for at in range(field.offset, field.offset + field.size)]
    assert len(covered) == len(set(covered))
    assert max(covered) < 64
    values = {field.name: (1 << 8 * field.size) - 1 - index for index, field in enumerate(record.fields)}
    assert record.unpack(record.pack(values)) == values


def test_records_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match=r"^Record m must fit 4 bytes, not be 4294967296$"):
        DESCRIPTOR.pack({"m": 1 << 32})
    with pytest.raises(ValueError, match=r"^Record has fields act, .*, not rows$"):
        DESCRIPTOR.pack({"rows": 1})


@pytest.mark.parametrize("name", design_names())
def test_image_holds_the_weights_of_one_panel(name):
    """Beat by beat: what the engine is given for the first panel of rows, each beat from its stride on."""
    design = load_design(name).resized(2)
    layout = Layout(engine=design.engine.spec, bus=Bus())
    product = random_products(design, np.random.default_rng(1), m=3, n=5, k=70)[0]
    image = layout.image(product)
    head = HEAD.unpack(image[:64])
    stride = layout.stride("weight") // 8
    beats = np.frombuffer(image[64 : 64 + head["weight_bytes"]], np.uint8).reshape(-1, stride)
    given = weight_payloads(layout.engine, product)
    assert (beats[:, : given.shape[1]] == given[: len(beats)]).all()
    assert not beats[:, given.shape[1] :].any()
    assert (head["n"], head["digest"]) == (5, layout.digest)
    assert head["steps"] * layout.act_chunk <= 8 * layout.act_stride(product)
    assert len(layout.act_image(product)) == 3 * layout.act_stride(product)


def test_results_of_less_than_a_byte_are_refused():
    """A bus writes whole bytes: what a block of columns writes would take another's bits along."""
    settings = ["array.rows=2", "array.cols=1", "tiling.max_k=64"]
    narrow = load_design("hawqv3_w4a4", settings).with_settings(["drain.requantize=int4"])
    message = r"^Array cols must be at least 2 for results of 4 bits on a bus, which writes whole bytes, not 1$"
    with pytest.raises(ValueError, match=message):
        Layout(engine=narrow.engine.spec, bus=Bus())
    assert narrow.target.layout is None
    assert narrow.with_settings(["array.cols=2"]).target.layout


@pytest.mark.parametrize("name", ["w8a8_os", "hawqv3_w4a4", "xr_npe", "mixpe_w4a8"])
def test_results_are_read_as_they_are_written(name):
    """Numbers in slots, sign-extended, row by row."""
    design = load_design(name).resized(2)
    layout = Layout(engine=design.engine.spec, bus=Bus())
    product = random_products(design, np.random.default_rng(1), m=3, n=5, k=20)[0]
    results, slot = expected_results(layout.engine, product), layout.result_slot
    rows = b""
    for row in results.reshape(-1, 5):
        bits = sum((int(value) & ((1 << slot) - 1)) << (slot * at) for at, value in enumerate(row))
        rows += bits.to_bytes(layout.result_stride(product), "little")
    assert len(rows) == layout.result_size(product)
    assert (layout.results(product, rows) == results).all()
