"""Content-addressed results on disk: computed once, shared by every process, checked whenever they are read."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs

from hw.core.digest import digest

__all__ = ["CacheError", "cached_dir", "cached_json", "require_cache", "root", "write_whole"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


class CacheError(OSError):
    """The folder of cached results cannot be written; the message names it, and what chooses another."""


# Lists the files of a folder that `cached_dir` has stored, with their SHA-256.
_MANIFEST = ".manifest.json"
# Seconds after which a folder that is still not renamed belongs to a process that was killed.
_ABANDONED = 86_400


def root() -> Path:
    """Folder that holds every cached result: ``$MACFORGE_CACHE``, else the user's cache folder.

    Returns
    -------
    pathlib.Path
        Absolute; it need not exist yet.
    """
    chosen = os.environ.get("MACFORGE_CACHE")
    return Path(chosen).absolute() if chosen else Path(platformdirs.user_cache_dir("macforge", appauthor=False))


def require_cache() -> None:
    """Make the folder that holds cached results; `CacheError` if it cannot be written."""
    with _explained():
        root().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root()):
            pass


def write_whole(path: str | os.PathLike[str], data: str | bytes) -> None:
    """Write a file that appears complete or not at all, making its parent folders.

    Parameters
    ----------
    path
        Destination; a file that is there already is replaced, or the one that a link leads to. A device is written to.
    data
        Bytes, or text written as UTF-8 with its line ends as they are.

    Raises
    ------
    OSError
        If it cannot be written; names the destination.
    """
    path = Path(path)
    content = data.encode() if isinstance(data, str) else data
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        destination = path.resolve() if path.is_symlink() else path
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(destination)
        try:
            temporary.write_bytes(content)
            os.replace(temporary, destination)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def cached_json(kind: str, key: str, compute: Callable[[], Any], *, is_valid: Callable[[], bool] = lambda: True) -> Any:
    """Result of ``compute()``, computed at most once per ``kind`` and ``key`` and stored as JSON.

    A stored file that is damaged, or not of this key, is computed again and replaced.

    Parameters
    ----------
    kind
        Name of the sort of result: a folder under `root`.
    key
        What the result depends on, all of it, as formed by `digest`.
    compute
        Called without arguments when nothing is stored. What it returns must survive JSON.
    is_valid
        Called afterwards. If it returns False, the result is returned but not stored.

    Returns
    -------
    object
        As read back from JSON, the first time too, so that a result never depends on who computed it.
    """
    path = _place(kind, key, ".json")
    with _explained():
        path.parent.mkdir(parents=True, exist_ok=True)
    entry = _read_entry(path, key)
    if entry is None:
        result = json.loads(json.dumps(compute(), allow_nan=False))
        entry = {"key": key, "check": digest(result), "result": result}
        if is_valid():
            with _explained():
                write_whole(path, json.dumps(entry))
    return entry["result"]


def _read_entry(path: Path, key: str) -> dict[str, Any] | None:
    """What `cached_json` has stored there; None if there is nothing, or it is not what was stored."""
    try:
        entry = json.loads(path.read_bytes())
        is_whole = entry["key"] == key and entry["check"] == digest(entry["result"])
    except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return entry if is_whole else None


def cached_dir(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Folder filled by ``build(path)``, built at most once per ``kind`` and ``key``.

    A build fills a fresh folder beside the destination, which then takes its place in one step. When two
    processes race, the first to finish wins and both use its folder. A failed build leaves nothing. A stored folder
    of which a file is missing or damaged is built again and replaced.

    Parameters
    ----------
    kind
        Name of the sort of result: a folder under `root`.
    key
        What the result depends on, all of it, as formed by `digest`.
    build
        Called with the path of an empty folder when nothing is stored. It must not record that path.

    Returns
    -------
    pathlib.Path
        The complete folder, to be read only.
    """
    path = _place(kind, key, "")
    if _is_whole(path, key):
        return path
    with _explained():
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        temporary = _beside(path)
        temporary.mkdir()
    try:
        with _explained(only=_FULL):
            build(temporary)
        files = {str(file.relative_to(temporary)): _sha256(file) for file in temporary.rglob("*") if file.is_file()}
        with _explained():
            (temporary / _MANIFEST).write_text(json.dumps({"key": key, "files": files}))
            _put_in_place(temporary, path, key)
    finally:
        _remove(temporary)
    return path


@contextlib.contextmanager
def _explained(only: tuple[int, ...] = ()) -> Iterator[None]:
    """Turn an `OSError`, or those of the given numbers, into a `CacheError`."""
    try:
        yield
    except OSError as error:
        if only and error.errno not in only:
            raise
        raise CacheError(
            f"Cache must be a folder that can be written, which {root()} is not ({error.strerror}); the variable "
            "MACFORGE_CACHE chooses another"
        ) from error


def _is_whole(folder: Path, key: str) -> bool:
    """Whether `cached_dir` has stored the folder under this key, and every file is still what it was."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        files = manifest["files"].items()
        return manifest["key"] == key and all(_sha256(folder / name) == check for name, check in files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put_in_place(source: Path, destination: Path, key: str) -> None:
    """Rename a folder, unless another process has put a whole one there; a damaged one makes way."""
    while True:
        try:
            source.rename(destination)
            return
        except OSError:
            if not os.path.lexists(destination):
                raise
        if _is_whole(destination, key):
            return
        aside = _beside(destination)
        # unless another process has just moved it
        with contextlib.suppress(FileNotFoundError):
            destination.rename(aside)
            _remove(aside)


def _remove_abandoned(parent: Path) -> None:
    """Remove what builds have left that were killed."""
    for left in parent.glob(".*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _place(kind: str, key: str, suffix: str) -> Path:
    # Two levels keep each folder short.
    return root() / kind / key[:2] / (key + suffix)


def _beside(path: Path) -> Path:
    # The same folder means the same file system, which makes the final rename one step.
    # The name is short, since the path's own may be as long as a name can be.
    return path.with_name(f".{secrets.token_hex(8)}.part")
