"""Text to tokens and back, as a GGUF file says: byte-level BPE, and the template of a chat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer
from tokenizers.pre_tokenizers import Sequence as Several

from macforge.model.gguf import GGUFModel
from sw_ref.fields import one_of

__all__ = ["Vocabulary", "vocabulary_of"]

# Kinds of tokens in a file: marks such as the end of a text, and words that are never cut.
_CONTROL, _USER = 3, 4


def _bytes() -> ByteLevel:
    """Words, numbers and spaces as GPT-2 cuts them, in bytes."""
    return ByteLevel(add_prefix_space=False, use_regex=True)


_CUTS: dict[str, PreTokenizer] = {
    "gpt-2": _bytes(),
    # every digit is a word
    "smollm": Several([Digits(individual_digits=True), _bytes()]),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Vocabulary:
    """Tokens of a model.

    Parameters
    ----------
    tokenizer : Tokenizer
    first : tuple of int
        What every text begins with.
    end : int or None
        The token that ends a text.
    template : str
        Jinja template of a chat; empty if the file has none.
    """

    tokenizer: Tokenizer
    first: tuple[int, ...] = ()
    end: int | None = None
    template: str = ""

    def encode(self, text: str) -> list[int]:
        """Tokens of a text; marks such as ``<|im_start|>`` in it are tokens of their own.

        Raises
        ------
        ValueError
            If there are none.
        """
        tokens = [*self.first, *self.tokenizer.encode(text, add_special_tokens=False).ids]
        if not tokens:
            raise ValueError("Prompt must hold some text, not be empty")
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without marks."""
        return self.tokenizer.decode(list(tokens), skip_special_tokens=True)

    def chat(self, question: str) -> str:
        """A user's question in the file's template, up to where the answer begins.

        Raises
        ------
        ValueError
            If the file has no template, or one that does not work.
        """
        if not self.template:
            raise ValueError("Chat must be left out: the file has no template for it")
        # a file is not to be trusted
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        try:
            return environment.from_string(self.template).render(
                messages=[{"role": "user", "content": question}], add_generation_prompt=True
            )
        except TemplateError as error:
            raise ValueError(f"Chat must be left out: the file's template fails with {error}") from None


def vocabulary_of(model: GGUFModel) -> Vocabulary:
    """The vocabulary of a file.

    Raises
    ------
    ValueError
        If it is not byte-level BPE, cuts words in a way that is not known, or is damaged.
    """
    found = {key.removeprefix("tokenizer."): model.value(key) for key in model.keys if key.startswith("tokenizer.")}
    one_of("Tokenizer", found.get("ggml.model", "none"), ["gpt2"])
    cut = one_of("Pre-tokenizer", found.get("ggml.pre", "none"), _CUTS)
    tokens = list(found.get("ggml.tokens", []))
    tokenizer = Tokenizer(_bpe(tokens, found.get("ggml.merges", [])))
    tokenizer.pre_tokenizer, tokenizer.decoder = _CUTS[cut], ByteDecoder()
    kinds = np.asarray(found.get("ggml.token_type", np.ones(len(tokens), int)))
    for kind, add in ((_CONTROL, tokenizer.add_special_tokens), (_USER, tokenizer.add_tokens)):
        special = kind == _CONTROL
        add([AddedToken(tokens[at], normalized=False, special=special) for at in np.flatnonzero(kinds == kind)])
    return Vocabulary(
        tokenizer=tokenizer,
        first=(int(found["ggml.bos_token_id"]),) if found.get("ggml.add_bos_token") else (),
        end=found.get("ggml.eos_token_id"),
        template=found.get("chat_template", ""),
    )


def _bpe(tokens: list[str], merges: list[str]) -> BPE:
    numbers = {token: number for number, token in enumerate(tokens)}
    pairs = []
    for merge in merges:
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= numbers.keys():
            raise ValueError(f"Tokenizer must have merges of its tokens, not {merge!r}")
        pairs.append((left, right))
    return BPE(vocab=numbers, merges=pairs)
