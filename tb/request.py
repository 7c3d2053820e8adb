"""What passes between the runner and a bench, as files."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The runner's side of a bench: its settings and stimulus, and where its findings go."""

    folder: Path
    settings: dict[str, object]
    arrays: dict[str, np.ndarray]

    @classmethod
    def load(cls) -> "Request":
        """The request of the bench that is running."""
        folder = Path(os.environ["MACFORGE_BENCH"])
        return cls(
            folder=folder,
            settings=json.loads((folder / "settings.json").read_text()),
            arrays=dict(np.load(folder / "stimulus.npz")),
        )

    def report(self, *, figures: dict[str, object], arrays: dict[str, np.ndarray]) -> None:
        """Hand over what the hardware put out; before any assertion on it, so that it is there to look at."""
        np.savez(self.folder / "outcome.npz", **arrays)
        (self.folder / "figures.json").write_text(json.dumps(figures))
