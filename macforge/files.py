"""Files of a user's: read, and looked at before a long command is to write them."""

import errno
import os
import tempfile
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["check_output_file", "check_output_folder", "kind_of", "read_npy"]

# How files begin that are taken for others; the first that fits counts.
_KINDS = {
    b"version https://git-lfs": "a Git LFS pointer, in place of the file that `git lfs pull` fetches",
    b"\x93NUMPY": "a .npy file",
    b"PK\x03\x04": "a ZIP archive, as .npz files and checkpoints of PyTorch are",
    b"\x1f\x8b": "compressed by gzip",
    b"GGUF": "a GGUF file",
    b"\x89HDF": "an HDF5 file",
    b"<!DOCTYPE": "a page of HTML",
    b"<html": "a page of HTML",
}
# What NumPy raises of files that are cut off or are not its own.
_UNREADABLE = (ValueError, SyntaxError, TypeError, OverflowError, EOFError, tokenize.TokenError)


def kind_of(path: Path) -> str:
    """What a file is by its first bytes: the end of a sentence, or nothing if it is none of those that are known."""
    with path.open("rb") as file:
        start = file.read(32)
    if not start:
        return "empty"
    return next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), "")


def read_npy(path: Path, what: str) -> "np.ndarray":
    """The array of a .npy file.

    Parameters
    ----------
    path : Path
    what : str
        What the array is, in messages.

    Raises
    ------
    ValueError
        If there is no such file, or it is not a .npy file of numbers.
    """
    import numpy as np

    if not path.is_file():
        raise ValueError(f"{what} must be a .npy file that exists, not {path}")
    try:
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except MemoryError as error:
        raise ValueError(f"{what} must fit into memory, which {path} does not: {error}") from None
    except _UNREADABLE as error:
        kind = kind_of(path)
        reason = f"it is {kind}" if kind and kind != _KINDS[b"\x93NUMPY"] else _first_line(error)
        raise ValueError(f"{what} must be a .npy file of numbers, which {path} is not: {reason}") from None


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def check_output_file(path: Path, what: str) -> None:
    """Raise `OSError` if a file cannot be written; ``what`` is what it is to hold."""
    if path.is_dir():
        raise IsADirectoryError(f"{what} must go to a file, not to the folder {path}")
    if not path.exists() or path.is_file():
        _check_writable(path.parent, f"{what} must go to a folder that can be written, not to {path.parent}")


def check_output_folder(path: Path, what: str) -> None:
    """Raise `OSError` if no files can be written to a folder, which need not exist."""
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{what} must go to a folder, not to the file {path}")
    _check_writable(path, f"{what} must go to a folder that can be written, not to {path}")


def _check_writable(folder: Path, message: str) -> None:
    """Try it in the folder, or in the innermost above it that exists."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".part") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno == errno.ENOENT:
            reason = "no folder can be made there"
        raise OSError(f"{message}: {reason}") from error
