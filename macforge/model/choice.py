"""A file that says which design each layer of a model goes to."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hw.emit.cache import write_whole

__all__ = ["ChosenDesigns"]


@dataclass(frozen=True, kw_only=True)
class ChosenDesigns:
    """Designs of layers.

    Parameters
    ----------
    designs : mapping of str to str
        Name of a design, or path of its file, by the names of layers.
    settings : tuple of str
        Fields of all designs that are changed, each as ``key=value``.
    """

    designs: Mapping[str, str]
    settings: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        table = {"settings": list(self.settings), "layers": dict(self.designs)}
        write_whole(path, json.dumps(table, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "ChosenDesigns":
        """Read what `save` has written; ValueError if the file is another one."""
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            settings, layers = table["settings"], table["layers"]
        except (ValueError, KeyError, TypeError):
            settings, layers = None, None
        if not (isinstance(settings, list) and isinstance(layers, dict) and _are_texts(settings, layers.values())):
            raise ValueError(f"Choice must be a file that macforge model tune has written, not {path}")
        return cls(designs=layers, settings=tuple(settings))

    def check_layers(self, names: Iterable[str]) -> None:
        """ValueError unless these are the layers that it has designs for."""
        wanted, given = list(names), set(self.designs)
        for name in wanted:
            if name not in given:
                raise ValueError(f"Choice must have a design for {name}, and has none")
        for name in sorted(given.difference(wanted)):
            raise ValueError(f"Choice must be of the model's layers, which {name} is not")


def _are_texts(*several: Iterable[object]) -> bool:
    return all(isinstance(each, str) for some in several for each in some)
