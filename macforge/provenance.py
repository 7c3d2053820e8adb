"""What made a figure or a verdict: one rule for everything that macforge computes, keeps, and believes later."""

import functools
import importlib.util
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hw.core.digest import digest

# What only figures take is imported where they are made: this module comes before any other, in every command.

__all__ = [
    "FAMILIES",
    "LOADED",
    "PACKAGES",
    "Sources",
    "cached_description",
    "cached_figures",
    "key_of",
    "made_by",
    "substance",
]

PACKAGES = ("sw_ref", "hw", "pe", "dataflow", "fpga", "tb", "macforge")
"""The packages that macforge is made of."""

FAMILIES = "macforge.families"
"""Entry points of this group are processing element families of other packages, which have a say in figures too."""

# The extra whose packages have a say in figures. The others show figures, spread the work, or test.
_EXTRA = "model"
_REQUIREMENT = re.compile(r"\s*([\w.-]+)")
_OF_EXTRA = re.compile(r"\bextra\s*==\s*['\"]([^'\"]+)")
# Fields of a design that say something about it, and change nothing of it.
_REMARKS = ("headline", "name", "report_tokens", "source", "summary")


class Sources:
    """All files of packages, as they are when this is made.

    Only compiled Python and hidden files are left out, such as those that an editor keeps beside an open one.

    Parameters
    ----------
    folders : dict of str to Path
        Where each package is, or the file of a single module; by default where Python finds `PACKAGES`.
    """

    def __init__(self, folders: Mapping[str, Path] | None = None) -> None:
        self._folders = folders or {name: _folder(name) for name in PACKAGES}
        self._stamps = self._stamped()

    @property
    def names(self) -> list[str]:
        """The files, such as ``sw_ref/drain/edge.py``, sorted."""
        return list(self._stamps)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the names and contents of all files; of nothing that ever was, if they are no longer the same."""
        try:
            parts = [part for name in self._stamps for part in (name, self._path(name).read_bytes())]
        except OSError:
            parts = []
        return digest(*parts) if parts and self.are_unchanged else secrets.token_hex(32)

    @property
    def are_unchanged(self) -> bool:
        """Whether the files on disk are still the same, none is missing, and none has been added."""
        try:
            return self._stamped() == self._stamps
        except OSError:
            return False

    def _path(self, name: str) -> Path:
        package, _, rest = name.partition("/")
        return self._folders[package] / rest if rest else self._folders[package]

    def _stamped(self) -> dict[str, tuple[int, int]]:
        """What changes with a file, by its name."""
        found = {}
        for name in sorted(name for package, folder in self._folders.items() for name in _files(package, folder)):
            state = self._path(name).stat()
            found[name] = state.st_mtime_ns, state.st_size
        return found


def _folder(package: str) -> Path:
    """Where Python imports a package from."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"Package {package} must be installed with macforge, but is not there")
    origin = Path(found.origin)
    return origin.parent if found.submodule_search_locations else origin


def _files(package: str, folder: Path) -> Iterator[str]:
    if folder.is_file():
        yield package
    for where, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        inside = Path(where).relative_to(folder)
        yield from (
            (package / inside / name).as_posix()
            for name in files
            if not name.startswith(".") and not name.endswith((".pyc", ".pyo"))
        )


def _refuse(error: OSError) -> None:
    """A folder that cannot be read is not one without files."""
    raise error


LOADED = Sources()
"""The files that this process runs: the package macforge imports this module before any other."""


@functools.cache
def _others() -> Sources | None:
    """The files of packages that bring families, as they are when figures are first asked for; None without any."""
    from importlib import metadata

    tops = {point.module.partition(".")[0] for point in metadata.entry_points(group=FAMILIES)} - {*PACKAGES}
    return Sources({name: _folder(name) for name in sorted(tops)}) if tops else None


def made_by() -> dict[str, str]:
    """What has a say in a figure besides what it is of: macforge's own files, and the versions of all that it uses.

    Returns
    -------
    dict of str to str
        ``source``: the digest of `LOADED`. Everything else is a version: of Python, Yosys, the C++ compiler, macforge,
        each package that it requires, and what these require. ``families``: the digest of other packages' families.
    """
    others = _others()
    families = {} if others is None else {"families": others.digest}
    return {"source": LOADED.digest, **families, **_versions()}


@functools.cache
def _versions() -> dict[str, str]:
    from hw.emit import tools, yosys

    packages: dict[str, str] = {}
    _collect("macforge", packages)
    return {
        "python": f"{sys.implementation.name} {sys.version.split()[0]}",
        "yosys": yosys.banner(),
        "c++": tools.banner("c++"),
        **packages,
    }


def _collect(name: str, found: dict[str, str]) -> None:
    """Add the version of an installed package, and those of what it requires; one that is not installed has none."""
    from importlib import metadata

    name = re.sub(r"[-_.]+", "-", name).lower()
    if name in found:
        return
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    found[name] = package.version
    for requirement in package.requires or ():
        extra = _OF_EXTRA.search(requirement)
        if extra is None or (name, extra[1]) == ("macforge", _EXTRA):
            required = _REQUIREMENT.match(requirement)
            assert required is not None, "a requirement begins with a name"
            _collect(required[1], found)


def key_of(kind: str, *inputs: object) -> str:
    """The key of figures: a digest of what they are, what they are of, and what makes them.

    Parameters
    ----------
    kind : str
        Which sort of figures.
    *inputs
        All that they depend on besides `made_by`, as `hw.core.digest.digest` takes it.
    """
    return digest(kind, made_by(), *inputs)


def cached_figures(kind: str, *inputs: object, compute: Callable[[], object]) -> Any:
    """Figures, or a verdict, that ``compute()`` gives: computed once for these inputs and `made_by`.

    Nothing is kept if a file of macforge has changed since this process began: what it gives may then be partly of
    the new code, which the simulator's processes load, for one.

    Parameters
    ----------
    kind, *inputs
        As for `key_of`.
    compute : callable
        What it returns must survive JSON.
    """
    from hw.emit.cache import cached_json

    return cached_json(kind, key_of(kind, *inputs), compute, is_valid=_unchanged)


def cached_description(kind: str, *inputs: object, compute: Callable[[], object]) -> Any:
    """What follows from macforge's files and the packages that they take to describe a design, and from no tool.

    Parameters
    ----------
    kind, inputs, compute
        As for `cached_figures`.
    """
    from importlib import metadata

    from hw.emit.cache import cached_json

    others = _others()
    versions = {name: metadata.version(name) for name in ("amaranth", "numpy")}
    python = f"{sys.implementation.name} {sys.version.split()[0]}"
    key = digest(kind, LOADED.digest, others and others.digest, versions, python, *inputs)
    return cached_json(kind, key, compute, is_valid=_unchanged)


def _unchanged() -> bool:
    others = _others()
    return LOADED.are_unchanged and (others is None or others.are_unchanged)


def substance(table: Mapping[str, object]) -> dict[str, Any]:
    """A design as plain data (`macforge.design.design.Design.to_table`) without its name and remarks."""
    return {key: value for key, value in table.items() if key not in _REMARKS}
