"""Generated files and where they go."""

from collections.abc import Mapping
from pathlib import Path

from hw.emit.cache import write_whole

__all__ = ["write_files"]


def write_files(folder: str | Path, files: Mapping[str, str]) -> list[Path]:
    """Write texts into ``folder`` under their names, each whole or not at all."""
    paths = [Path(folder) / name for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        write_whole(path, text)
    return paths
