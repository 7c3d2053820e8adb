"""The documentation builds without a warning, and what it refers to exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import macforge
from macforge.design.named import design_names
from pe import FAMILIES
from tests.typed import present

ROOT = Path(__file__).parents[2]
MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    places = (folder / "doctrees", ROOT / "docs", folder / "html")
    done = subprocess.run(
        [*(sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "-d"), *places],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "html"


def page(site, name):
    return (site / f"{name}.html").read_text(encoding="utf-8")


def test_every_page_is_in_the_site(site):
    sources = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert sources <= built


def test_public_names_are_in_the_reference(site):
    found = set(re.findall(r'id="macforge\.(\w+)"', page(site, "reference/api")))
    assert found == set(macforge.__all__)


def test_tables_hold_every_design_and_family(site):
    designs, families = page(site, "reference/designs"), page(site, "reference/families")
    assert [name for name in design_names() if f">{name}<" not in designs] == []
    assert [name for name in FAMILIES if f">{name}<" not in families] == []


def test_properties_keep_their_docstrings(site):
    text = re.sub(r"<[^>]+>", "", page(site, "reference/api"))
    assert " ".join(present(macforge.Design.engine.__doc__).split()) in " ".join(text.split())


def test_timing_diagrams_are_drawn(site):
    assert len(re.findall(r"<img [^>]*timing diagram", page(site, "streams"))) == 3


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
