"""Nodes of products of blocks: what each scheme can lose, and what is found out of the rest."""

import itertools

import numpy as np
import pytest

from sw_ref.arith.bilinear import SCHEMES, LostError, blocks_of, checks, combined, product_of, recovery, wrong_node

# Of all sets of so many nodes, how many can be lost, and which cannot: by exhaustion, apart from this code.
PAIRS = {("M3", "P5"), ("M7", "P2")}


def names(scheme):
    return [node.name for node in SCHEMES[scheme]]


def unrecoverable(scheme, count):
    found = set()
    for lost in itertools.combinations(names(scheme), count):
        try:
            recovery(SCHEMES[scheme], lost)
        except LostError:
            found.add(lost)
    return found


def results_of(scheme, a, b):
    """What the nodes make of two matrices."""
    return {
        node.name: combined(node.act, blocks_of(a)) @ combined(node.weight, blocks_of(b)) for node in SCHEMES[scheme]
    }


def matrices(seed, *shape):
    m, k, n = shape
    random = np.random.default_rng(seed)
    return random.integers(-99, 99, (m, k)), random.integers(-99, 99, (k, n))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_all_nodes_make_the_product(scheme):
    a, b = matrices(1, 6, 4, 8)
    assert np.array_equal(product_of(SCHEMES[scheme], results_of(scheme, a, b)), a @ b)


def test_what_can_be_lost():
    """Nothing of one scheme; any one of two, and all pairs but two; with two more any two, and all but 7 triples."""
    for scheme in ("strassen", "winograd"):
        assert len(unrecoverable(scheme, 1)) == 7
    assert unrecoverable("strassen_winograd", 1) == set()
    assert unrecoverable("strassen_winograd", 2) == PAIRS
    assert unrecoverable("strassen_winograd_parity", 2) == set()
    assert len(unrecoverable("strassen_winograd_parity", 3)) == 7


@pytest.mark.parametrize("scheme", ["strassen_winograd", "strassen_winograd_parity"])
def test_every_pair_that_can_be_lost_is_made_up_for(scheme):
    nodes, (a, b) = SCHEMES[scheme], matrices(3, 4, 6, 2)
    results = results_of(scheme, a, b)
    for lost in itertools.combinations(names(scheme), 2):
        if scheme == "strassen_winograd" and lost in PAIRS:
            continue
        left = {name: result for name, result in results.items() if name not in lost}
        assert np.array_equal(product_of(nodes, left), a @ b), lost


def test_checks_are_as_many_as_there_are_nodes_too_many():
    ranks = {scheme: np.linalg.matrix_rank([node.terms for node in nodes]) for scheme, nodes in SCHEMES.items()}
    assert ranks == {"strassen": 7, "winograd": 7, "strassen_winograd": 10, "strassen_winograd_parity": 10}
    assert {scheme: len(checks(nodes)) for scheme, nodes in SCHEMES.items()} == {
        scheme: len(nodes) - ranks[scheme] for scheme, nodes in SCHEMES.items()
    }


def test_a_wrong_node_is_found():
    """By being the only one without which the others agree."""
    nodes, (a, b) = SCHEMES["strassen_winograd_parity"], matrices(4, 4, 4, 4)
    results = results_of("strassen_winograd_parity", a, b)
    assert wrong_node(nodes, results) is None
    for name in names("strassen_winograd_parity"):
        spoilt = results | {name: results[name] + np.array([[0, 4], [0, 0]])}
        with pytest.raises(LostError, match=r"^Results of nodes disagree: at least one is wrong$"):
            product_of(nodes, spoilt)
        assert wrong_node(nodes, spoilt) == name
        del spoilt[name]
        assert np.array_equal(product_of(nodes, spoilt), a @ b)


def test_of_14_nodes_two_pairs_are_not_told_apart():
    nodes, (a, b) = SCHEMES["strassen_winograd"], matrices(5, 4, 4, 4)
    results = results_of("strassen_winograd", a, b)
    for name in names("strassen_winograd"):
        spoilt = results | {name: results[name] + 1}
        either = next((pair for pair in PAIRS if name in pair), None)
        if either is None:
            assert wrong_node(nodes, spoilt) == name
            continue
        with pytest.raises(LostError, match=rf"^Results of nodes disagree: ({' or '.join(either)}) is wrong$"):
            wrong_node(nodes, spoilt)


def test_integers_without_a_bound():
    """No product goes round, however large."""
    nodes = SCHEMES["strassen_winograd"]
    a, b = (np.array([[1 << 80, -(1 << 79)], [3, 1 << 81]], object) for _ in range(2))
    assert (product_of(nodes, results_of("strassen_winograd", a, b)) == a @ b).all()


def test_formulas():
    by_name = {node.name: node.formula for node in SCHEMES["strassen_winograd_parity"]}
    assert by_name["M7"] == "(a12 - a22) (b21 + b22)"
    assert by_name["P6"] == "(- a11 + a21 + a22) (b11 - b12 + b22)"
    assert by_name["S1"] == "(a21 - a22) (b12 - b22)"
