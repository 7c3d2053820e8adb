"""macforge model cost: tables, JSON, a chart, and one line for what cannot be."""

import json

import pytest

from fpga.boards import find_board


def test_layers_and_their_sums(macforge, small_decoder):
    code, out, err = macforge("model", "cost", small_decoder, "--rows", "1,4", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["clock_mhz"], found["left_out"]) == (None, [])
    for total in found["totals"]:
        # the head, which is last, has one row
        layers = found["layers"][:5] if total["rows"] == 1 else found["layers"][5:]
        assert [layer["rows"] for layer in layers] == [total["rows"]] * 4 + [1]
        for figure in ("cycles", "bytes", "macs"):
            assert total[figure] == sum(layer["layers"] * layer[figure] for layer in layers)


def test_a_board_has_an_array_and_a_clock(macforge, small_decoder):
    code, out, _ = macforge("model", "cost", small_decoder, "--board", "ice40_hx8k", "--rows", 1, "--json")
    (total,) = json.loads(out)["totals"]
    assert code == 0
    assert total["ms"] == pytest.approx(total["cycles"] / find_board("ice40_hx8k").clock_mhz / 1000)
    code, shown, err = macforge("model", "cost", small_decoder, "--board", "ice40_hx8k", "--rows", 1)
    assert (code, "rows/s" in shown) == (0, True)
    assert err.startswith("projected as if memory held all weights: they take ")


def test_what_is_left_out_is_said(macforge, small_decoder):
    code, out, err = macforge("model", "cost", small_decoder, "w4a8_q4_1", "--rows", 1)
    assert (code, "token_embd" in out) == (0, False)
    assert err.startswith("left out token_embd.weight: ")


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("html", b"<!DOCTYPE html>")])
def test_roofline(macforge, small_decoder, tmp_path, ending, start):
    path = tmp_path / f"roofline.{ending}"
    code, _, err = macforge("model", "cost", small_decoder, "--roofline", path)
    assert (code, err) == (0, f"wrote {path}\n")
    written = path.read_bytes()
    assert written.lstrip().startswith(start)
    if ending == "svg":
        # a point for each layer and number of rows, but for those that are the same
        assert written.count(b'aria-roledescription="point"') == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "1,x"], "Rows must be positive numbers, separated by commas, not '1,x'"),
        (["--rows", "0"], "Rows must be positive numbers, separated by commas, not '0'"),
        (["--board", "none"], "Board must be one of "),
        (["--roofline", "a.pdf"], "Chart's ending must be one of .html, .png, .svg, not '.pdf'"),
        (["mxfp4"], "No layer of "),
        (["--set", "array.cols=3"], "Designs must be such that results fit their bus, which those of w4a8_q4_1 do not"),
    ],
)
def test_what_cannot_be_is_one_line(macforge, small_decoder, arguments, message):
    code, out, err = macforge("model", "cost", small_decoder, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"macforge: {message}") and err.count("\n") == 1
