"""What passes between the runner and a bench, as files."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sw_ref.wide import from_limbs, limbs, range_of

__all__ = ["Request", "load_arrays", "save_arrays"]

# What names of arrays of limbs begin with.
_WIDE = "wide "


@dataclass(frozen=True, kw_only=True)
class Request:
    """The runner's side of a bench: its settings and stimulus, and where its findings go."""

    folder: Path
    settings: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def load(cls) -> "Request":
        """The request of the bench that is running."""
        folder = Path(os.environ["MACFORGE_BENCH"])
        return cls(
            folder=folder,
            settings=json.loads((folder / "settings.json").read_text()),
            arrays=load_arrays(folder / "stimulus.npz"),
        )

    def report(self, *, figures: Mapping[str, object], arrays: dict[str, np.ndarray]) -> None:
        """Hand over what the hardware put out; before any assertion on it, so that it is there to look at."""
        save_arrays(self.folder / "outcome.npz", arrays)
        (self.folder / "figures.json").write_text(json.dumps(dict(figures)))


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to a file; those of objects, which are integers beyond 63 bits, in limbs."""
    wide = {name for name, array in arrays.items() if array.dtype == object}
    plain: dict[str, Any] = {name: array for name, array in arrays.items() if name not in wide}
    packed: dict[str, Any] = {_WIDE + name: limbs(arrays[name], range_of(arrays[name]).signed_bits) for name in wide}
    np.savez(path, **plain, **packed)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """What `save_arrays` wrote."""
    with np.load(path) as stored:
        return {
            name.removeprefix(_WIDE): from_limbs(array) if name.startswith(_WIDE) else array
            for name, array in stored.items()
        }
