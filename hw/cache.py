"""Content-addressed results on disk: computed once, shared by every process, never seen half-written."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["CacheError", "cached_dir", "cached_json", "digest", "require_cache", "root", "write_whole"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


class CacheError(OSError):
    """The folder of cached results cannot be written; the message names it, and what chooses another."""


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


def digest(*parts: Any) -> str:
    """SHA-256 of a sequence of parts, as 64 hexadecimal digits.

    Each part is hashed with its kind and its length before it, so that no two different sequences share
    their bytes: ``digest("ab", "c") != digest("a", "bc")`` and ``digest("a") != digest(b"a")``.

    Parameters
    ----------
    *parts
        ``bytes``, or whatever JSON can write: text, numbers, booleans, None, and lists, tuples and mappings
        of these. A tuple counts as a list, and the order of a mapping does not matter.

    Raises
    ------
    TypeError
        If a part cannot be written as JSON, or a mapping has a key that is not text.
    ValueError
        If a number is infinite or not a number.
    """
    state = hashlib.sha256()
    for part in parts:
        kind, data = ("bytes", part) if isinstance(part, bytes) else ("json", _canonical(part))
        state.update(f"{kind} {len(data)}\n".encode())
        state.update(data)
    return state.hexdigest()


def _canonical(part: Any) -> bytes:
    _require_text_keys(part)
    return json.dumps(part, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _require_text_keys(part: Any) -> None:
    # json writes the key 1 as "1", which would give two different mappings one digest.
    if isinstance(part, Mapping):
        for key, value in part.items():
            if not isinstance(key, str):
                raise TypeError(f"Keys of a mapping must be text, not {key!r}")
            _require_text_keys(value)
    elif isinstance(part, list | tuple):
        for value in part:
            _require_text_keys(value)


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


def cached_json(kind: str, key: str, compute: Callable[[], Any]) -> Any:
    """Result of ``compute()``, computed at most once per ``kind`` and ``key`` and stored as JSON.

    Parameters
    ----------
    kind
        Name of the sort of result: a folder under `root`.
    key
        What the result depends on, all of it, as formed by `digest`.
    compute
        Called without arguments when nothing is stored. What it returns must survive JSON.

    Returns
    -------
    object
        As read back from JSON, the first time too, so that a result never depends on who computed it.
    """
    path = _place(kind, key, ".json")
    with _explained():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        text = json.dumps(compute(), allow_nan=False)
        with _explained():
            write_whole(path, text)
    return json.loads(path.read_bytes())


def cached_dir(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Folder filled by ``build(path)``, built at most once per ``kind`` and ``key``.

    A build fills a fresh folder beside the destination, which then takes its place in one step. When two
    processes race, the first to finish wins and both use its folder. A failed build leaves nothing.

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
    if path.is_dir():
        return path
    with _explained():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        temporary.mkdir()
    try:
        with _explained(only=_FULL):
            build(temporary)
        with _explained():
            _rename_unless_there(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
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


def _rename_unless_there(source: Path, destination: Path) -> None:
    try:
        source.rename(destination)
    except OSError:
        if not destination.is_dir():
            raise


def _place(kind: str, key: str, suffix: str) -> Path:
    # Two levels keep each folder short.
    return root() / kind / key[:2] / (key + suffix)


def _beside(path: Path) -> Path:
    # The same folder means the same file system, which makes the final rename one step.
    # The name is short, since the path's own may be as long as a name can be.
    return path.with_name(f".{secrets.token_hex(8)}.part")
