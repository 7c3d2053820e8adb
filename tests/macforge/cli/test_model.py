"""macforge model: what is listed, what is compiled, and one line for what is not."""

import json

import numpy as np
import pytest

from macforge.compile.storage import load_program
from tests.macforge.model.gguf_files import blocks, reference, write_gguf
from tests.macforge.model.layers import rows_of


@pytest.fixture
def model(tmp_path):
    data = {"up": blocks("Q4_0", 6, 2), "down": blocks("Q5_0", 4, 2), "norm": np.ones((1, 8), np.float32)}
    for each in (data["up"], data["down"]):
        # scales of 1/8 and 1/4, block by block
        found = each.reshape(-1, each.shape[1] // 2)
        found[:, 0], found[:, 1] = 0x00, 0x30 + 4 * (np.arange(len(found)) % 2)
    tensors = {"up.weight": ("Q4_0", data["up"]), "down.weight": ("Q5_0", data["down"]), "norm": ("F32", data["norm"])}
    tensors["mix.weight"] = ("IQ4_XS", np.zeros((2, 136), np.uint8))
    tensors["down.bias"] = ("F32", np.arange(4, dtype=np.float32))
    write_gguf(tmp_path / "model.gguf", tensors)
    return tmp_path / "model.gguf", data


def test_layers_are_listed_with_the_designs_that_take_them(macforge, model):
    code, out, err = macforge("model", "show", model[0], "w4a8_ws", "hawqv3_w8a8", "w4a8_q4_1")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["layer", "type", "K", "N", "weights", "group", "designs"]
    assert lines[1] == ["up.weight", "Q4_0", "64", "6", "int4", "32", "w4a8_ws,", "w4a8_q4_1"]
    assert "Not down.weight:" in out and "takes one scale for all of K, not groups of 32" in out
    assert ["mix.weight", "type", "IQ4_XS", "is", "not", "read"] in lines


def test_everything_is_in_the_json(macforge, model):
    _, out, _ = macforge("model", "show", model[0], "w4a8_ws", "w8a8_os", "--json")
    found = json.loads(out)
    assert [(row["name"], row["designs"]) for row in found["layers"]] == [
        ("up.weight", ["w4a8_ws", "w8a8_os"]),
        ("down.weight", []),
        ("norm", []),
    ]
    down = found["layers"][1]
    assert down["reasons"] == {"w4a8_ws": "takes weights of int4, not int5", "w8a8_os": "adds no bias"}
    assert (down["group"], down["bias"], down["act"]) == (32, True, None)
    assert found["passed_over"] == [{"name": "mix.weight", "reason": "type IQ4_XS is not read"}]


def test_all_named_designs_are_asked(macforge, model):
    _, out, _ = macforge("model", "show", model[0], "--json")
    rows = json.loads(out)["layers"]
    assert len({*rows[0]["designs"], *rows[0]["reasons"]}) > 60


def test_a_layer_is_compiled_as_it_is_stored(macforge, model, tmp_path):
    program = tmp_path / "layer.safetensors"
    code, out, err = macforge("model", "compile", model[0], "up.weight", "w4a8_ws", "-o", program, "--json")
    assert (code, err, json.loads(out)[0]["weights"]) == (0, "", "as stored")
    np.testing.assert_array_equal(rows_of(load_program(program), 64), reference("Q4_0", model[1]["up"]))


def test_what_is_not_taken_is_quantized_again_only_if_asked(macforge, model, tmp_path):
    program = tmp_path / "layer.safetensors"
    command = ["model", "compile", model[0], "down.weight", "w4a8_ws", "-o", program]
    message = "macforge: Layer down.weight must be one that w4a8_ws takes as it is stored, but it takes"
    code, _, err = macforge(*command)
    assert code == 2 and err.startswith(message) and not program.exists()
    code, out, err = macforge(*command, "--requantize", "--without-bias")
    assert code == 0 and program.exists()
    assert err == "re-quantized down.weight: w4a8_ws takes weights of int4, not int5\n"
    assert "re-quantized, as w4a8_ws takes weights of int4, not int5" in out
    assert (rows_of(load_program(program), 64) != reference("Q5_0", model[1]["down"])).any()


def test_help_is_shown_without_a_command(macforge):
    code, out, err = macforge("model")
    assert (code, err) == (0, "") and "show" in out and "compile" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "none.gguf"], "Model must be a file that exists, not none.gguf"),
        (["show", "FILE", "w4a8"], "Design must be one of "),
        (
            ["compile", "FILE", "up", "w4a8_ws", "-o", "x"],
            "Layer must be one of up.weight, down.weight, norm, not",
        ),
        (["compile", "FILE", "down.weight", "w8a8_os", "-o", "x"], "Layer down.weight must be one that w8a8_os takes"),
    ],
)
def test_a_wrong_request_ends_in_one_line(macforge, model, arguments, message):
    given = [model[0] if each == "FILE" else each for each in arguments]
    code, _, err = macforge("model", *given)
    assert code == 2
    assert err.startswith(f"macforge: {message}") and len(err.splitlines()) == 1
