"""Sphinx extension: tables generated from the code, and timing diagrams from recorded simulations."""

import base64
from pathlib import Path

import wavedrom
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from docs.tables import TABLES

__all__ = ["Generated", "Waves", "setup"]


class Generated(Directive):
    """A table of `docs.tables.TABLES`, by its name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in TABLES:
            raise self.error(f"Table must be one of {', '.join(TABLES)}, not {name}")
        container = nodes.container()
        self.state.nested_parse(StringList(TABLES[name]().splitlines(), name), self.content_offset, container)
        return container.children


class Waves(Directive):
    """A timing diagram: WaveDrom's JSON, in a file beside the page, drawn as SVG."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        environment = self.state.document.settings.env
        relative, path = environment.relfn2path(self.arguments[0])
        environment.note_dependency(relative)
        drawing = wavedrom.render(Path(path).read_text(encoding="utf-8"))
        if drawing is None:
            raise self.error(f"{path} holds no diagram")
        uri = "data:image/svg+xml;base64," + base64.b64encode(drawing.tostring().encode()).decode()
        return [nodes.image(uri=uri, alt=f"timing diagram {Path(path).stem}", classes=["diagram"])]


class _PlainProperties:
    """Keeps docstrings of properties from napoleon, which takes what precedes a colon for a type."""

    def __init__(self) -> None:
        self._kept: list[str] = []

    def hide(self, _app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
        if what == "property":
            self._kept, lines[:] = list(lines), ["hidden"]

    def restore(self, _app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
        if what == "property":
            lines[:] = self._kept


def setup(app: Sphinx) -> dict[str, bool]:
    """Add both directives, and what precedes and follows napoleon."""
    app.add_directive("generated", Generated)
    app.add_directive("waves", Waves)
    properties = _PlainProperties()
    app.connect("autodoc-process-docstring", properties.hide, priority=400)
    app.connect("autodoc-process-docstring", properties.restore, priority=600)
    return {"parallel_read_safe": True}
