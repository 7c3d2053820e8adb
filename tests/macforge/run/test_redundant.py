"""Layers of integers in nodes: the product is right whichever node is lost, in the RTL as in the model."""

import numpy as np
import pytest

from macforge.design.design import load_design
from macforge.run.executor import run_program
from macforge.run.redundant import compile_nodes, run_nodes
from sw_ref.arith.bilinear import LostError, blocks_of, combined, product_of, wrong_node

SMALL = ("array.rows=2", "array.cols=2")


def operands(m=5, k=9, n=7, most=16, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(-most, most, (m, k)), random.integers(-most, most, (k, n))


@pytest.mark.parametrize("sizes", [(5, 9, 7), (4, 6, 2), (1, 1, 1), (1, 8, 3)])
def test_every_node_may_be_lost(sizes):
    act, weight = operands(*sizes)
    layer = compile_nodes(load_design("w8a8_os", SMALL), weight)
    for lost in ((), *((node.name,) for node in layer.nodes), ("M3", "P5"), ("M7", "S2")):
        result = run_nodes(layer, act, engine="ref", lost=lost)
        assert result.product.dtype == np.int64 and np.array_equal(result.product, act @ weight), lost


def test_the_hardware_makes_it_up_as_well():
    """Nodes that are left run in the RTL, and what is made of their results is the product."""
    act, weight = operands(3, 5, 3)
    design = load_design("w8a8_os", SMALL)
    layer = compile_nodes(design, weight, "strassen_winograd")
    result = run_nodes(layer, act, lost=("M1",))
    assert np.array_equal(result.product, act @ weight)
    assert result.cycles is not None and result.cycles >= result.predicted_cycles > 0


def test_packed_and_weight_stationary_designs_take_nodes_too():
    act, weight = operands(4, 4, 4, most=2)
    for name in ("w4a4_packed", "w4a8_ws"):
        result = run_nodes(compile_nodes(load_design(name, SMALL), weight), act, engine="ref", lost=("P1", "M2"))
        assert np.array_equal(result.product, act @ weight)


def test_a_node_whose_hardware_is_wrong_is_found():
    """Results of single nodes may also be had one by one."""
    act, weight = operands(4, 4, 4)
    layer = compile_nodes(load_design("w8a8_os", SMALL), weight)
    results = {
        node.name: run_program(program, combined(node.act, blocks_of(act)), engine="ref").product
        for node, program in zip(layer.nodes, layer.programs, strict=True)
    }
    results["P3"] = results["P3"] ^ 1
    assert wrong_node(layer.nodes, results) == "P3"
    del results["P3"]
    assert np.array_equal(product_of(layer.nodes, results), act @ weight)


def test_too_many_lost_nodes():
    act, weight = operands()
    layer = compile_nodes(load_design("w8a8_os"), weight, "strassen_winograd")
    with pytest.raises(LostError, match=r"^Without M3, P5, block \d\d of the product is not to be had of the 12 nodes"):
        run_nodes(layer, act, engine="ref", lost=("P5", "M3"))


@pytest.mark.parametrize(
    ("design", "how", "says"),
    [
        ("mixpe_w4a8", {}, r"^Scheme must be left out for mixpe_w4a8, whose drain edge makes no sums of integers$"),
        ("bf16_fp32", {}, r"^Scheme must be left out for bf16_fp32, whose sums are not exact but fp32$"),
        (
            "w8a8_os",
            {"scheme": "strasen"},
            r"^Scheme must be one of strassen, .*, not 'strasen'; did you mean strassen",
        ),
        ("w4a8_ws", {}, r"^Node M\d, .*: weight\[\d+, \d+\] is -?\d+, outside int4 \(-8 to 7\)$"),
    ],
)
def test_bad_layers(design, how, says):
    with pytest.raises(ValueError, match=says):
        compile_nodes(load_design(design), operands()[1], **how)


def test_bad_activations():
    act, weight = operands()
    layer = compile_nodes(load_design("w8a8_os"), weight)
    for given, says in (
        (act * 8, r"^Node \w+, .*: act\[\d+, \d+\] is -?\d+, outside int8 \(-128 to 127\)$"),
        (act * 0.5, r"^act must be of integers for a scheme of nodes, not float64$"),
        (act[:, :5], r"^act \(M, K\) and weight \(K, N\) must share K, not have shapes \(5, 5\) and \(9, 7\)$"),
    ):
        with pytest.raises(ValueError, match=says):
            run_nodes(layer, given, engine="ref")


def test_command(macforge, tmp_path):
    act, weight = operands()
    np.save(tmp_path / "a.npy", act)
    np.save(tmp_path / "w.npy", weight)
    files = ("--act", tmp_path / "a.npy", "--weight", tmp_path / "w.npy", "-o", tmp_path / "c.npy", "--engine", "ref")
    asked = ("matmul", "w8a8_os", *files)
    code, _out, err = macforge(*asked, "--scheme", "strassen_winograd_parity", "--lost", "M1,P3")
    assert (code, err) == (0, "")
    assert np.array_equal(np.load(tmp_path / "c.npy"), act @ weight)
    for more, says in (
        (("--lost", "M1"), "Nodes can be lost only with a --scheme, which says what nodes there are"),
        (("--scheme", "strassen", "--lost", "M8"), "Lost node must be one of M1, M2, M3, M4, M5, M6, M7, not 'M8'"),
    ):
        code, _out, err = macforge(*asked, *more)
        assert (code, says in err) == (2, True)
