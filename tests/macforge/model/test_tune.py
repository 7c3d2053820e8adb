"""A choice is the best of all there are, within budgets; losses are those of programs."""

import ctypes
import itertools
import os
import re

import numpy as np
import pytest
from scipy import optimize

from macforge.compile.cost import cost
from macforge.design.design import load_design
from macforge.model.choice import ChosenDesigns
from macforge.model.compiled import compile_stored_layer
from macforge.model.decoder import Dequantized
from macforge.model.generate import DESIGNS, Programs
from macforge.model.llama import open_decoder
from macforge.model.losses import layer_options
from macforge.model.tune import Option, choose, front
from macforge.run.executor import run_program

NAMES = ("a", "b", "c")


def random_layers(random, count=5):
    return {
        f"layer {at}": [
            Option(
                design=name,
                loss=float(random.uniform(0.001, 1)),
                costs={"cycles": float(random.integers(1, 10**6)), "bytes": float(random.integers(1, 10**8))},
            )
            for name in NAMES
        ]
        for at in range(count)
    }


def exhaustive(layers, budgets, fixed):
    """The least loss of all choices within budgets, by trying them all; None if there is none."""
    losses = []
    for chosen in itertools.product(*layers.values()):
        used = {option.design for option in chosen}
        if all(
            sum(option.costs.get(budget, 0) for option in chosen)
            + sum(fixed.get(name, {}).get(budget, 0) for name in used)
            <= most
            for budget, most in budgets.items()
        ):
            losses.append(sum(option.loss for option in chosen))
    return min(losses, default=None)


@pytest.mark.parametrize("seed", range(12))
def test_no_choice_is_better(seed):
    random = np.random.default_rng(seed)
    layers = random_layers(random)
    budgets = {"cycles": float(random.uniform(0.8e6, 3e6)), "bytes": float(random.uniform(0.8e8, 3e8))}
    fixed = {name: {"lut": float(random.integers(1000, 9000))} for name in NAMES}
    if seed % 2:
        budgets["lut"] = float(random.uniform(4000, 20000))
    best = exhaustive(layers, budgets, fixed)
    if best is None:
        with pytest.raises(ValueError, match=r"^Budgets must be such that a choice is possible: cycles of at least "):
            choose(layers, budgets, fixed=fixed)
        return
    found = choose(layers, budgets, fixed=fixed)
    assert found.loss == pytest.approx(best)
    assert list(found.options) == list(layers)
    assert all(found.cost(name) <= budgets[name] * (1 + 1e-6) for name in ("cycles", "bytes"))


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_better_than_the_front(seed):
    """No choice of all there are takes less than one of the front without losing more; the ends are the extremes."""
    layers = random_layers(np.random.default_rng(seed))
    found = front(layers, "bytes")
    points = [
        (sum(option.costs["bytes"] for option in chosen), sum(option.loss for option in chosen))
        for chosen in itertools.product(*layers.values())
    ]
    for choice in found:
        taken, lost = choice.cost("bytes"), choice.loss
        assert not any(other < taken and loss <= lost * (1 - 1e-9) for other, loss in points)
        assert not any(other <= taken and loss < lost * (1 - 1e-9) for other, loss in points)
    assert found[0].cost("bytes") == min(points)[0]
    assert found[-1].loss == pytest.approx(min(loss for _taken, loss in points))
    assert len(found) > 2
    within = front(layers, "bytes", {"cycles": found[0].cost("cycles")})
    assert all(choice.cost("cycles") <= found[0].cost("cycles") for choice in within)


@pytest.mark.parametrize("seed", range(4))
def test_a_front_of_what_designs_take_counts_them_once(seed):
    """Its ends are the least that a choice can take, and the least loss; no choice of its designs loses less."""
    random = np.random.default_rng(seed)
    layers = random_layers(random)
    fixed = {name: {"lut": float(random.integers(1000, 9000))} for name in NAMES}
    found = front(layers, "lut", fixed=fixed)
    assert found[0].cost("lut", fixed) == min(each["lut"] for each in fixed.values())
    assert found[-1].loss == pytest.approx(choose(layers, {}).loss)
    for choice in found:
        used = {option.design for option in choice.options.values()}
        assert choice.cost("lut", fixed) == sum(fixed[name]["lut"] for name in used)
        assert choice.loss == pytest.approx(exhaustive(layers, {"lut": choice.cost("lut", fixed)}, fixed))


def test_some_seeds_have_a_choice_and_some_have_none():
    found = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        layers = random_layers(random)
        budgets = {"cycles": float(random.uniform(0.8e6, 3e6)), "bytes": float(random.uniform(0.8e8, 3e8))}
        found.append(exhaustive(layers, budgets, {}) is None)
    assert {True, False} == set(found)


def test_nothing_of_the_solver_is_printed(monkeypatch, capfd):
    """Some versions of it write to standard output past Python; what is printed before and after stays."""
    real = optimize.milp

    def loud(*given, **options):
        os.write(1, b"work\n")
        ctypes.CDLL(None).puts(b"later")
        return real(*given, **options)

    monkeypatch.setattr(optimize, "milp", loud)
    print("before")
    choose(random_layers(np.random.default_rng(0)), {})
    print("after", flush=True)
    assert capfd.readouterr().out == "before\nafter\n"


def test_a_layer_without_a_design_is_named():
    with pytest.raises(ValueError, match=r"^Layer x must have a design that it may go to$"):
        choose({"x": []}, {"cycles": 1.0})


@pytest.fixture(scope="module")
def decoder(small_decoder):
    return open_decoder(small_decoder)[0]


def rest_of(options, name):
    (option,) = (option for option in options if option.design == name)
    return option.costs, option.is_requantized


def test_losses_and_costs_are_those_of_programs(decoder):
    designs, tokens = [load_design(name) for name in (*DESIGNS, "mxfp4")], [5, 17, 40, 99]
    options = layer_options(decoder, tokens, designs, rows=3)
    assert list(options) == [layer.name for layer in decoder.linear_layers]
    losses = {name: {option.design: option.loss for option in each} for name, each in options.items()}
    seen, exact = {}, Dequantized()

    def compute(layer, act):
        seen[layer.name] = act
        return exact(layer, act)

    decoder.logits(decoder.hidden(tokens, decoder.start(), compute)[-1:], compute)
    layer = next(one for one in decoder.linear_layers if one.name == "blk.1.ffn_down.weight")
    for design in designs:
        program, _ = compile_stored_layer(design, layer, requantize=True)
        product = run_program(program, seen[layer.name], engine="ref").product.astype(np.float64)
        wanted = exact(layer, seen[layer.name]).astype(np.float64)
        assert losses[layer.name][design.name] == pytest.approx(((product - wanted) ** 2).sum() / (wanted**2).sum())
        assert rest_of(options[layer.name], design.name) == (
            {"cycles": cost(program, 3).bound_cycles, "bytes": cost(program, 3).bytes},
            # only it adds the offsets that the file has
            design.name != "w4a8_q4_1",
        )
    # four bits lose more than eight
    assert losses[layer.name]["mxfp4"] > 10 * losses[layer.name]["w8a8_q8_0"]


def test_the_heads_costs_are_of_one_row(decoder):
    few, many = (layer_options(decoder, [5, 17], [load_design("w8a8_q8_0")], rows=rows) for rows in (1, 9))
    assert few[decoder.head.name] == many[decoder.head.name]
    assert few["blk.0.attn_q.weight"] != many["blk.0.attn_q.weight"]


def test_programs_are_of_the_chosen_designs(decoder):
    first, *rest = decoder.linear_layers
    chosen = {layer.name: load_design("w8a8_q8_0") for layer in rest} | {first.name: load_design("mxfp4")}
    programs = Programs([], chosen=chosen)
    names = [programs.program(layer).target.name for layer in (first, rest[0])]
    assert names == ["mxfp4", "w8a8_q8_0"]


def test_a_file_of_a_choice_is_read_as_it_was_written(tmp_path):
    given = ChosenDesigns(designs={"a": "mxfp4", "b": "w8a8_os"}, settings=("tiling.max_k=64",))
    given.save(tmp_path / "choice.json")
    assert ChosenDesigns.load(tmp_path / "choice.json") == given
    given = ChosenDesigns(designs={"a": "mixllm_w4_8a8", "b": "mixllm_w4_8a8"}, wide={"a": (1, 3)})
    given.save(tmp_path / "choice.json")
    read = ChosenDesigns.load(tmp_path / "choice.json")
    assert read == given
    columns = read.wide_columns("a", 4)
    assert columns is not None and columns.tolist() == [False, True, False, True]
    assert read.wide_columns("b", 4) is None
    with pytest.raises(ValueError, match=r"^Choice must have columns from 0 to 2 of a, not 1 to 3$"):
        read.wide_columns("a", 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"settings": [1], "layers": {}}',
        '{"settings": [], "layers": []}',
        '{"settings": [], "layers": {}, "wide": {"a": ["b"]}}',
        '{"settings": [], "layers": {}, "wide": []}',
    ],
)
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ValueError, match=re.escape("Choice must be a file that macforge model tune has written, not ")):
        ChosenDesigns.load(tmp_path / "other.json")


def test_layers_must_be_those_of_the_model():
    given = ChosenDesigns(designs={"a": "mxfp4"})
    given.check_layers(["a"])
    with pytest.raises(ValueError, match=r"^Choice must have a design for b, and has none$"):
        given.check_layers(["a", "b"])
    with pytest.raises(ValueError, match=r"^Choice must be of the model's layers, which a is not$"):
        given.check_layers([])
    with pytest.raises(ValueError, match=r"^Choice must be of the model's layers, which b is not$"):
        ChosenDesigns(designs={"a": "mxfp4"}, wide={"b": ()}).check_layers(["a"])
