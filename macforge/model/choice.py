"""A file that says which design each layer of a model goes to."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

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
    wide : mapping of str to tuple of int
        Which columns of some layers get more bits, by the names of these.
    """

    designs: Mapping[str, str]
    settings: tuple[str, ...] = ()
    wide: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def wide_columns(self, layer: str, n: int) -> np.ndarray | None:
        """Which of a layer's columns get more bits, bool (N,); None if they are not chosen.

        Raises
        ------
        ValueError
            If the layer does not have one of them.
        """
        if layer not in self.wide:
            return None
        chosen = self.wide[layer]
        if not all(0 <= column < n for column in chosen):
            raise ValueError(
                f"Choice must have columns from 0 to {n - 1} of {layer}, not {min(chosen)} to {max(chosen)}"
            )
        return np.isin(np.arange(n), chosen)

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        table: dict[str, object] = {"settings": list(self.settings), "layers": dict(self.designs)}
        if self.wide:
            table["wide"] = dict(self.wide)
        write_whole(path, json.dumps(table, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "ChosenDesigns":
        """Read what `save` has written; ValueError if the file is another one."""
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            settings, layers, wide = table["settings"], table["layers"], table.get("wide", {})
            are_texts = all(isinstance(each, str) for each in (*settings, *layers.values()))
            wide = {layer: tuple(columns) for layer, columns in wide.items()}
            are_columns = all(isinstance(each, int) for columns in wide.values() for each in columns)
        except (ValueError, KeyError, TypeError, AttributeError):
            are_texts = are_columns = False
            settings, layers, wide = [], {}, {}
        if not (are_texts and are_columns):
            raise ValueError(f"Choice must be a file that macforge model tune has written, not {path}")
        return cls(designs=layers, settings=tuple(settings), wide=wide)

    def check_layers(self, names: Iterable[str]) -> None:
        """ValueError unless these are the layers that it has designs for."""
        wanted, given = list(names), {*self.designs, *self.wide}
        for name in wanted:
            if name not in self.designs:
                raise ValueError(f"Choice must have a design for {name}, and has none")
        for name in sorted(given.difference(wanted)):
            raise ValueError(f"Choice must be of the model's layers, which {name} is not")
