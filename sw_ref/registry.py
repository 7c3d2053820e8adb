"""Registries: implementations by their names, each loaded when it is first asked for."""

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import metadata
from typing import Generic, TypeVar

__all__ = ["Registry"]

Kind = TypeVar("Kind")


class Registry(Mapping[str, Kind], Generic[Kind]):
    """Implementations by their names; those of other packages are found by their entry points.

    Only what is looked up is imported, so that a command that uses one family does not load all.

    Parameters
    ----------
    places : mapping of str to str
        ``module:attribute`` of each name.
    group : str
        Entry points of this group are further names; empty for none.
    """

    def __init__(self, places: Mapping[str, str], *, group: str = "") -> None:
        self._own = dict(places)
        self._group = group
        self._loaded: dict[str, Kind] = {}

    def __getitem__(self, name: str) -> Kind:
        if name not in self._loaded:
            place = self._own.get(name) or self.places[name]
            module, _, attribute = place.partition(":")
            self._loaded[name] = getattr(importlib.import_module(module), attribute)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self.places

    @cached_property
    def places(self) -> dict[str, str]:
        """``module:attribute`` of each name, macforge's own first.

        Raises
        ------
        ValueError
            If another package has an entry point with a name that is taken.
        """
        places = dict(self._own)
        for point in metadata.entry_points(group=self._group) if self._group else ():
            if point.name in places:
                raise ValueError(
                    f"Entry point {point.name} of {self._group} must have a name of its own, not that of "
                    f"{places[point.name]}"
                )
            places[point.name] = point.value
        return places
