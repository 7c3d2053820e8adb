"""Results are stored once, under unambiguous keys, are never seen half-written, and never believed if damaged."""

import errno
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hw.core.digest import digest
from hw.emit.cache import CacheError, cached_dir, cached_json, require_cache, root, write_whole


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_root_is_the_environments_choice(cache):
    assert root() == cache


@pytest.mark.parametrize("unset", [None, ""])
def test_root_falls_back_to_the_users_cache(monkeypatch, unset):
    monkeypatch.delenv("MACFORGE_CACHE")
    if unset is not None:
        monkeypatch.setenv("MACFORGE_CACHE", unset)
    assert root().is_absolute() and root().name == "macforge"


def test_relative_root_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MACFORGE_CACHE", "here")
    assert root() == Path(tmp_path, "here")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a",), (b"a",)),
        (("a",), (b'"a"',)),
        (("a", "b"), (["a", "b"],)),
        ((1,), ("1",)),
        ((1,), (True,)),
        ((1,), (1.0,)),
        ((None,), ()),
        (("",), ()),
        (({"a": 1, "b": 2},), ({"a": 2, "b": 1},)),
        ((np.zeros((2, 3)),), (np.zeros((3, 2)),)),
        ((np.zeros(2, np.int32),), (np.zeros(2, np.uint32),)),
        ((np.zeros(2, np.int32),), (np.zeros(1, np.int64),)),
        ((np.zeros(2, "<i4"),), (np.zeros(2, ">i4"),)),
        ((np.array([0.0]),), (np.array([-0.0]),)),
        ((np.zeros(1, np.int8),), (bytes(1),)),
    ],
)
def test_digest_tells_apart(one, other):
    assert digest(*one) != digest(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (({"a": 1, "b": [2]},), ({"b": [2], "a": 1},)),
        (((1, 2),), ([1, 2],)),
        ((np.eye(3)[:, ::2],), (np.eye(3)[:, ::2].copy(),)),
    ],
)
def test_digest_takes_as_equal(one, other):
    assert digest(*one) == digest(*other)


def test_digest_is_of_kinds_lengths_and_bytes():
    assert digest("a", b"b", [1]) == hashlib.sha256(b'json 3\n"a"bytes 1\nbjson 3\n[1]').hexdigest()


@pytest.mark.parametrize(
    ("part", "error", "message"),
    [
        ({1: "a"}, TypeError, r"^Keys of a mapping must be text, not 1$"),
        ([{"a": {None: 0}}], TypeError, r"^Keys of a mapping must be text, not None$"),
        ({"a"}, TypeError, r"^Object of type set is not JSON serializable$"),
        (float("nan"), ValueError, r"^Out of range float values are not JSON compliant"),
        (np.array([1 << 70]), TypeError, r"^Arrays must hold numbers, not object$"),
    ],
)
def test_digest_refuses(part, error, message):
    with pytest.raises(error, match=message):
        digest(part)


@pytest.mark.parametrize("data", ["x <= \u00b1y;\r\n", b"\x00\xff"])
def test_write_whole(tmp_path, data):
    path = tmp_path / "new" / "folder" / "file.v"
    write_whole(path, "before")
    write_whole(path, data)
    assert path.read_bytes() == (data if isinstance(data, bytes) else data.encode())
    assert os.listdir(path.parent) == ["file.v"]


def test_write_whole_respects_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_write_whole_leaves_nothing_when_it_cannot(tmp_path):
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        write_whole(tmp_path / "taken", "data")
    assert os.listdir(tmp_path) == ["taken"]


def test_write_whole_writes_through_links_and_to_devices(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"
    write_whole("/dev/null", "gone")
    assert Path("/dev/null").is_char_device()


def test_write_whole_takes_the_longest_names(tmp_path):
    write_whole(tmp_path / ("x" * 255), "data")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


@pytest.mark.parametrize("path", ["/proc/none/x", "/"])
def test_write_whole_names_what_it_cannot_write(path):
    with pytest.raises(OSError, match=r".") as raised:
        write_whole(path, "data")
    assert raised.value.filename == path


def test_cache_that_cannot_be_written_is_named_before_anything_is_computed(monkeypatch):
    monkeypatch.setenv("MACFORGE_CACHE", "/proc/none")
    message = (
        r"^Cache must be a folder that can be written, which /proc/none is not \(No such file or directory\); the "
        r"variable MACFORGE_CACHE chooses another$"
    )
    for attempt in (
        require_cache,
        lambda: cached_json("kind", digest(1), lambda: pytest.fail("computed")),
        lambda: cached_dir("kind", digest(1), lambda folder: pytest.fail("built")),
    ):
        with pytest.raises(CacheError, match=message):
            attempt()


def test_full_disk_is_told_of_a_build():
    def build(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CacheError, match=r"which .* is not \(No space left on device\)"):
        cached_dir("kind", digest(2), build)


def test_cached_json_computes_once():
    calls = []
    compute = lambda: calls.append(None) or {"width": (1, 2)}  # noqa: E731
    results = [cached_json("kind", digest("k"), compute) for _ in range(2)]
    assert results == [{"width": [1, 2]}] * 2
    assert len(calls) == 1


def test_cached_json_keeps_kinds_and_keys_apart():
    places = [(kind, digest(key)) for kind in "ab" for key in "xy"]
    for index, place in enumerate(places):
        assert cached_json(*place, lambda index=index: index) == index
    assert [cached_json(*place, lambda: None) for place in places] == [0, 1, 2, 3]


def test_cached_json_stores_none():
    assert cached_json("kind", "key", lambda: None) is None
    assert cached_json("kind", "key", lambda: 1) is None


@pytest.mark.parametrize("bad", [float("inf"), {1, 2}])
def test_cached_json_stores_nothing_that_json_cannot_hold(cache, bad):
    with pytest.raises((TypeError, ValueError)):
        cached_json("kind", "key", lambda: bad)
    assert files_below(cache) == []


def test_cached_dir_builds_once():
    built = []

    def build(path):
        assert os.listdir(path) == []
        built.append(path)
        (path / "out.txt").write_text("whole")

    first, second = (cached_dir("kind", digest("k"), build) for _ in range(2))
    assert first == second and len(built) == 1 and first not in built
    assert (first / "out.txt").read_text() == "whole"
    assert os.listdir(first.parent) == [first.name]


def test_cached_dir_leaves_nothing_when_the_build_fails(cache):
    def build(path):
        (path / "half.txt").write_text("half")
        raise KeyError("stop")

    with pytest.raises(KeyError, match=r"^'stop'$"):
        cached_dir("kind", "key", build)
    assert files_below(cache) == []
    assert (cached_dir("kind", "key", lambda path: (path / "a").touch()) / "a").exists()


def test_first_of_two_builders_wins():
    def first(path):
        (path / "by").write_text("first")

    def build(path):
        # Another process finishes the same build in the meantime.
        cached_dir("kind", "key", first)
        (path / "by").write_text("second")

    path = cached_dir("kind", "key", build)
    assert (path / "by").read_text() == "first"
    assert os.listdir(path.parent) == ["key"]


def test_what_is_not_valid_any_more_is_returned_but_not_stored(cache):
    assert cached_json("kind", "key", lambda: 1, is_valid=lambda: False) == 1
    assert files_below(cache) == []
    assert cached_json("kind", "key", lambda: 2, is_valid=lambda: True) == 2
    assert cached_json("kind", "key", lambda: 3, is_valid=lambda: False) == 2


def stored_json(kind="kind", key="abcd", result=12345):
    """The file of a result that is stored."""
    cached_json(kind, key, lambda: result)
    return root() / kind / key[:2] / f"{key}.json"


DAMAGES = {
    "empty": lambda text: "",
    "cut short": lambda text: text[:-1],
    "a digit less": lambda text: text.replace("12345", "1234"),
    "another result": lambda text: text.replace("12345", "54321"),
    "garbage": lambda text: "\x00garbage",
    "no text": lambda text: b"\xff\xfe",
    "not a number": lambda text: text.replace("12345", "NaN"),
    "without a check": lambda text: json.dumps({"key": "abcd", "result": 12345}),
    "the bare result, as an earlier version had it": lambda text: "12345",
    "a list": lambda text: "[1, 2, 3]",
    "deep": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_json_is_computed_again(damage):
    path = stored_json()
    whole = path.read_text()
    damaged = damage(whole)
    path.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    assert cached_json("kind", "abcd", lambda: 12345) == 12345
    assert path.read_text() == whole


def test_json_of_another_key_is_not_believed():
    shutil.copy(stored_json(result=1), stored_json(key="abce", result=2))
    assert cached_json("kind", "abce", lambda: 3) == 3
    assert cached_json("kind", "abcd", lambda: 4) == 1


def build_two(path, inside="whole"):
    (path / "deep").mkdir()
    (path / "deep" / "one").write_text(inside)
    (path / "two").write_text("as well")


FOLDER_DAMAGES = {
    "a file less": lambda path: (path / "two").unlink(),
    "cut short": lambda path: (path / "two").write_text("as wel"),
    "changed": lambda path: (path / "deep" / "one").write_text("whale"),
    "without its manifest": lambda path: next(path.glob(".*")).unlink(),
    "with an empty manifest": lambda path: next(path.glob(".*")).write_text(""),
    "with garbage for a manifest": lambda path: next(path.glob(".*")).write_text('{"key": "abcd", "files": [1]}'),
    "empty": lambda path: [shutil.rmtree(path), path.mkdir()],
    "a file": lambda path: [shutil.rmtree(path), path.write_text("garbage")],
}


@pytest.mark.parametrize("damage", FOLDER_DAMAGES.values(), ids=FOLDER_DAMAGES)
def test_damaged_folder_is_built_again(damage):
    path = cached_dir("kind", "abcd", build_two)
    damage(path)
    assert cached_dir("kind", "abcd", build_two) == path
    assert ((path / "deep" / "one").read_text(), (path / "two").read_text()) == ("whole", "as well")
    # nothing is left of the damaged one
    assert os.listdir(path.parent) == ["abcd"]
    assert cached_dir("kind", "abcd", lambda _: pytest.fail("built again")) == path


def test_folder_of_another_key_is_not_believed():
    path = cached_dir("kind", "abcd", build_two)
    shutil.copytree(path, path.with_name("abce"))
    other = cached_dir("kind", "abce", lambda folder: build_two(folder, inside="other"))
    assert (other / "deep" / "one").read_text() == "other"


KILLED = """
import os, signal
from hw.emit.cache import cached_dir

def build(path):
    (path / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

cached_dir("kind", "abcd", build)
"""
SLOW = """
import time
from hw.emit.cache import cached_dir, cached_json

def build(path):
    for part in "abc":
        (path / part).write_text(part)
        time.sleep(0.05)

for key in ("abcd", "abce"):
    path = cached_dir("kind", key, build)
    assert [(path / part).read_text() for part in "abc"] == [*"abc"]
    assert cached_json("kind", key, lambda: [*"abc"]) == [*"abc"]
"""


def started(program):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", program], env=environment)


def test_what_a_killed_build_has_left_is_not_seen_and_goes_after_a_day(cache):
    assert started(KILLED).wait() == -signal.SIGKILL
    (left,) = (cache / "kind" / "ab").iterdir()
    path = cached_dir("kind", "abcd", build_two)
    assert not (path / "half").exists()
    # it may belong to a process that is at it
    assert left.exists()
    long_ago = time.time() - 100_000
    os.utime(left, (long_ago, long_ago))
    cached_dir("kind", "abce", build_two)
    assert sorted(os.listdir(path.parent)) == ["abcd", "abce"]


def test_processes_that_build_the_same_all_get_a_whole_one(cache):
    # one of them stands there damaged
    damaged = cached_dir("kind", "abcd", build_two)
    (damaged / "two").write_text("garbage")
    running = [started(SLOW) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert sorted(os.listdir(damaged.parent)) == ["abcd", "abcd.json", "abce", "abce.json"]
