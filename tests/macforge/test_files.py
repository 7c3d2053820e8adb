"""Files of a user's: what they are instead of arrays, and where nothing can be written."""

import re
from pathlib import Path

import numpy as np
import pytest

from macforge.files import check_output_file, check_output_folder, kind_of, read_npy

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


def header(text):
    return b"\x93NUMPY\x01\x00v\x00" + text.encode().ljust(117) + b"\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer, in place of the file that .*"),
        (b"PK\x03\x04...", "it is a ZIP archive, as .npz files .*"),
        (b"<!DOCTYPE html>", "it is a page of HTML"),
        (b"hello", ".*"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }") + bytes(8), "Failed to read all data.*"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4"), ".*EOF.*"),
        (header("{'descr': '<,4', 'fortran_order': False, 'shape': (3, 4), }"), ".*"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (3, 4), }"), "Object arrays cannot be loaded.*"),
    ],
    ids=range(9),
)
def test_what_is_no_array_is_named(content, reason, tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    message = f"^act must be a .npy file of numbers, which {re.escape(str(path))} is not: {reason}$"
    with pytest.raises(ValueError, match=message):
        read_npy(path, "act")


def test_array_that_no_memory_holds(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(header("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 99999999), }"))
    with pytest.raises(ValueError, match=r"^act must fit into memory, which .*x\.npy does not: Unable to allocate"):
        read_npy(path, "act")


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "none.npy", tmp_path):
        with pytest.raises(ValueError, match=f"^act must be a .npy file that exists, not {re.escape(str(path))}$"):
            read_npy(path, "act")


def test_cut_or_changed_arrays_never_end_otherwise(tmp_path):
    np.save(tmp_path / "x.npy", ARRAY)
    whole = (tmp_path / "x.npy").read_bytes()
    np.testing.assert_array_equal(read_npy(tmp_path / "x.npy", "act"), ARRAY)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        data[random.integers(10, 80)] = random.integers(256)
        (tmp_path / "x.npy").write_bytes(bytes(data))
        try:
            read_npy(tmp_path / "x.npy", "act")
        except ValueError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 100


def test_kind_of(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"GGUF\x03")
    assert kind_of(path) == "a GGUF file"
    path.write_bytes(b"something else")
    assert kind_of(path) == ""


def test_outputs_that_can_be_written(tmp_path):
    check_output_file(tmp_path / "new" / "deep" / "c.npy", "Product")
    check_output_folder(tmp_path / "new" / "deep", "Report")
    check_output_file(tmp_path / "c.npy", "Product")
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match=f"^Product must go to a file, not to the folder {re.escape(str(tmp_path))}$"):
        check_output_file(tmp_path, "Product")
    with pytest.raises(OSError, match=r"^Product must go to a folder that can be written, not to .*: Not a directory$"):
        check_output_file(file / "c.npy", "Product")
    with pytest.raises(OSError, match=r"^Report must go to a folder, not to the file "):
        check_output_folder(file, "Report")
    with pytest.raises(OSError, match=r"^Report must go to a folder that can be written, not to /proc/x: "):
        check_output_folder(Path("/proc/x"), "Report")
