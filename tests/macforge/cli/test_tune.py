"""macforge model tune: a choice, what it takes, and one line for what cannot be."""

import json

import pytest

from macforge.model.pareto import Front


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abc abc cab")
    return path


def test_a_choice_is_made_and_run(macforge, small_decoder, text, tmp_path):
    path = tmp_path / "choice.json"
    command = ["model", "tune", small_decoder, "w8a8_q8_0", "w4a8_ws", "--text", text, "--json"]
    code, out, _ = macforge(*command, "--budget", "bytes=1e9")
    assert code == 0
    best, wide, narrow = json.loads(out)["choices"]
    assert (wide["choice"], narrow["choice"]) == ("all on w8a8_q8_0", "all on w4a8_ws")
    assert narrow["bytes"] < wide["bytes"] and best["loss"] <= wide["loss"] < narrow["loss"]
    between = (narrow["bytes"] + wide["bytes"]) // 2
    code, out, err = macforge(*command, "--budget", f"bytes={between}", "-o", path)
    found = json.loads(out)
    tuned = found["choices"][0]
    assert (code, tuned["layers"]) == (0, 15)
    assert narrow["bytes"] < tuned["bytes"] <= between
    assert best["loss"] <= tuned["loss"] < narrow["loss"]
    assert set(found["layers"]) == {"w8a8_q8_0", "w4a8_ws"}
    assert err.startswith("layers: ") and "re-quantized" in err
    code, out, _ = macforge("model", "generate", small_decoder, "abc", "--tokens", 2, "--choice", path, "--json")
    assert (code, len(json.loads(out)["tokens"])) == (0, 2)


def test_front_goes_from_the_cheapest_choice_to_the_best(macforge, small_decoder, text, tmp_path):
    """With a chart of it, and the area of the engines in use."""
    cells, chart = ("--set", "array.rows=2", "--set", "array.cols=2"), tmp_path / "front.svg"
    command = ["model", "tune", small_decoder, "w8a8_q8_0", "w4a8_ws", "--text", text, "--json", *cells]
    code, out, _ = macforge(*command, "--budget", "lut=1e5", "--front", "bytes", "--chart", chart)
    rows = json.loads(out)["choices"]
    tuned, wide, narrow, *best = rows
    assert code == 0 and chart.read_text().startswith("<svg")
    assert best[0]["bytes"] == narrow["bytes"] and best[-1]["loss"] == tuned["loss"] <= wide["loss"]
    assert [row["bytes"] for row in best] == sorted(row["bytes"] for row in best) and len(best) > 4
    assert [row["loss"] for row in best] == sorted((row["loss"] for row in best), reverse=True)
    assert best[1]["lut"] == wide["lut"] + narrow["lut"]
    code, out, _ = macforge(*command, "--budget", f"lut={wide['lut']}")
    assert (code, json.loads(out)["choices"][0]["lut"]) == (0, wide["lut"])
    code, out, _ = macforge(*command, "--budget", "cycles=1e9", "--front", "lut")
    best = [row for row in json.loads(out)["choices"] if row["best"]]
    alone = sorted((wide, narrow), key=lambda row: row["lut"])
    assert best[0]["lut"] == alone[0]["lut"] and best[0]["loss"] == alone[0]["loss"]
    assert best[-1]["loss"] == tuned["loss"]


def test_what_json_has_is_a_front_and_a_table_has_the_same(macforge, small_decoder, text, tmp_path):
    command = ["model", "tune", small_decoder, "w8a8_q8_0", "w4a8_ws", "--text", text, "--budget", "cycles=1e9"]
    _, out, _ = macforge(*command, "--front", "bytes", "--json", "--rows", 2)
    (tmp_path / "front.json").write_text(out)
    found = Front.load(tmp_path / "front.json")
    assert (found.model, found.budget, found.tokens, found.rows) == (str(small_decoder), "bytes", 6, 2)
    assert [row["choice"] for row in found.others] == ["tuned", "all on w8a8_q8_0", "all on w4a8_ws"]
    assert all(row["choice"] == f"best within {row['bytes']:,}" for row in found.best) and len(found.best) > 4
    code, out, _ = macforge(*command, "--front", "bytes", "--rows", 2)
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["choice", "layers", "loss", "cycles", "bytes"]
    assert len(lines) == 1 + len(found.best) + len(found.others)


def test_columns_are_chosen_over_all_layers_and_run(macforge, small_decoder, text, tmp_path):
    path, cells = tmp_path / "choice.json", ("--set", "tiling.group_size=32")
    command = ["model", "tune", small_decoder, "mixllm_w4_8a8", "--columns", "--text", text, *cells]
    code, out, err = macforge(*command, "--budget", "share=0.1", "--json", "-o", path)
    found = json.loads(out)
    none, fixed, chosen = found["choices"]
    assert (code, err, none["wide"]) == (0, "", 0)
    assert chosen["loss"] < fixed["loss"] < none["loss"]
    assert [layer["layer"] for layer in found["layers"][:2]] == ["blk.0.attn_q.weight", "blk.0.attn_k.weight"]
    columns, wide = (sum(layer[key] for layer in found["layers"]) for key in ("columns", "wide"))
    assert wide == chosen["wide"] == columns // 10 and chosen["share"] == wide / columns
    counts = {name: len(each) for name, each in json.loads(path.read_text())["wide"].items()}
    assert counts == {layer["layer"]: layer["wide"] for layer in found["layers"]}
    most = (none["weight_bytes"] + chosen["weight_bytes"]) // 2
    _, out, _ = macforge(*command, "--budget", "share=0.1", "--budget", f"weight_bytes={most}", "--json")
    within = json.loads(out)["choices"][2]
    assert chosen["loss"] < within["loss"] < none["loss"] and within["weight_bytes"] <= most
    code, out, _ = macforge("model", "generate", small_decoder, "abc", "--tokens", 2, "--choice", path, "--json")
    assert (code, len(json.loads(out)["tokens"])) == (0, 2)
    code, out, err = macforge(*command, "--budget", "share=0.1")
    assert "chosen over all layers" in out and "blk.1.ffn_down.weight" in out and err.startswith("loss: in nats")


def test_the_head_goes_to_the_last_design(macforge, small_decoder, text, tmp_path):
    path = tmp_path / "choice.json"
    designs = ["mixllm_w4_8a8", "w8a8_q8_0", "--set", "tiling.group_size=32"]
    command = ["model", "tune", small_decoder, *designs, "--columns", "--text", text, "-o", path]
    assert macforge(*command, "--budget", "share=0.1")[0] == 0
    layers = json.loads(path.read_text())["layers"]
    assert [name for name, design in layers.items() if design == "w8a8_q8_0"] == ["token_embd.weight"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "cycles"], "Budget must be cycles, bytes or lut=NUMBER, above 0, not 'cycles'"),
        (["--budget", "dsp=5"], "Budget must be cycles, bytes or lut=NUMBER, above 0, not 'dsp=5'"),
        (["--budget", "bytes=9", "--front", "dsp"], "Front must be one of cycles, bytes, lut, not 'dsp'"),
        (["--budget", "bytes=9", "--chart", "x.svg"], "Chart must have a --front"),
        (["--budget", "bytes=9", "--front", "bytes", "--chart", "x.txt"], "Chart's ending must be one of .html, "),
        (["--budget", "bytes=9", "--set", "array.cols=3"], "Designs must be such that results fit their bus, which "),
        (["--columns", "--budget", "bytes=1"], "Budget must be share or weight_bytes=NUMBER, above 0, not 'bytes=1'"),
        (
            ["--columns", "--budget", "share=2"],
            "Design must have two precisions of columns of weights, which ",
        ),
        (["--columns", "--budget", "share=1", "--front", "bytes"], "Front must be left out with --columns"),
        (["mxfp4", "nvfp4", "--columns", "--budget", "share=1"], "Designs must be at most two with --columns, of "),
        (["--budget", "bytes=1"], "Budgets must be such that a choice is possible: bytes of at least "),
    ],
)
def test_what_cannot_be_is_one_line(macforge, small_decoder, text, arguments, message):
    code, out, err = macforge("model", "tune", small_decoder, "w8a8_q8_0", "--text", text, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"macforge: {message}") and err.count("\n") == 1


def test_a_text_must_have_tokens(macforge, small_decoder, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    code, _, err = macforge(
        *("model", "tune", small_decoder, "w8a8_q8_0", "--text", tmp_path / "empty.txt", "--budget", "bytes=1e9")
    )
    assert (code, err.startswith("macforge: Text must have two tokens at least, not 0 as ")) == (2, True)
