"""Fields of dataclasses: the values that they take, and the choice that gives them an effect."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import operator
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

__all__ = [
    "Field",
    "FieldError",
    "Length",
    "OneOf",
    "Only",
    "Range",
    "check_fields",
    "close_to",
    "field_of",
    "fields_of",
    "one_of",
    "only_with",
    "shown",
]

_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text", Mapping: "a table"}
_T = TypeVar("_T")
_LARGEST = sys.float_info.max
# Longest text that is searched for what was meant by it.
_SHORT = 100


@dataclass(frozen=True)
class Range:
    """Numbers from ``least`` to ``most``; ``note`` is added to the description of them."""

    least: float
    most: float
    note: str = ""


@dataclass(frozen=True)
class Length:
    """Lists of ``least`` to ``most`` values."""

    least: int
    most: int


@dataclass(frozen=True)
class OneOf:
    """One of some texts or numbers, or of the keys of a mapping; a `Literal` says the same where they are few."""

    choices: tuple[object, ...] | Mapping[str, object]


@dataclass(frozen=True)
class Only:
    """The field has an effect only where ``when(owner)`` is true; elsewhere it must have its default.

    Parameters
    ----------
    when : callable
        Called with the object that has the field.
    says : str
        Ends ``must be <default>``, such as `` unless {}method is mixed``; for ``{}`` see `FieldError`.
    of : tuple of str
        Fields of the dataclass that is the field's value, which are meant instead of the field itself.
    """

    when: Callable[[Any], bool]
    says: str
    of: tuple[str, ...] = ()


def only_with(**fields: object) -> Only:
    """`Only` where each of these fields of the same object has the given value, or one of the given tuple."""
    wanted = {name: values if isinstance(values, tuple) else (values,) for name, values in fields.items()}
    parts = (f"{{}}{name} is {' or '.join(map(str, values))}" for name, values in wanted.items())
    return Only(
        lambda owner: all(getattr(owner, name) in values for name, values in wanted.items()),
        f" unless {' and '.join(parts)}",
    )


class FieldError(ValueError):
    """A field has a value that it does not take.

    Parameters
    ----------
    noun : str
        What the message calls the fields of the class, such as ``Tiling``.
    key : str
        Name of the field, or with dots the path of a field of its value.
    expected : str
        What the field takes; ``{}`` stands for what `text` puts in front of the key, such as ``quantizer.act.``.
    given : object
        The value that it has.
    hint : str
        Ends the message.
    """

    def __init__(self, noun: str, key: str, expected: str, given: object, hint: str = "") -> None:
        self.key = key
        self.expected = expected
        self.given = given
        self.hint = hint
        super().__init__(self.text(noun))

    def text(self, noun: str, where: str = "") -> str:
        """``<noun> <where><key> must be <expected>, not <given><hint>``."""
        expected = self.expected.replace("{}", where)
        return f"{noun} {where}{self.key} must be {expected}, not {shown(self.given)}{self.hint}"


def check_fields(owner: object, noun: str) -> None:
    """Check the fields of a dataclass against their annotations; lists become tuples.

    ``int`` takes no bool, and ``float`` finite numbers, integers among them. ``bool``, ``str``, `Literal`, ``Mapping``
    and classes are what they are, and ``Sequence[...]`` is a list of them. ``Annotated`` adds `Range`, `Length`,
    `OneOf` and `Only`.

    Parameters
    ----------
    owner : dataclass instance
    noun : str
        What messages call its fields.

    Raises
    ------
    FieldError
        At the first field with a value that it does not take, or that has no effect.
    """
    fields = fields_of(type(owner))
    for name, field in fields.items():
        given = getattr(owner, name)
        if field.length is not None and isinstance(given, list):
            given = tuple(given)
            object.__setattr__(owner, name, given)
        if not field.takes(given):
            raise FieldError(noun, name, field.expected, given, close_to(given, field.choices or ()))
    for name, field in fields.items():
        for only in field.only:
            _check_effect(owner, noun, name, only)


def _check_effect(owner: object, noun: str, name: str, only: Only) -> None:
    for path in [f"{name}.{part}" for part in only.of] or [name]:
        given, default = operator.attrgetter(path)(owner), _default(type(owner), path)
        if given != default and not only.when(owner):
            raise FieldError(noun, path, f"{shown(default)}{only.says}", given)


def _default(kind: type, path: str) -> object:
    """The value of a field of ``kind``, or of a field of that, where none is given."""
    name, _, rest = path.partition(".")
    if rest:
        return _default(fields_of(kind)[name].kind, rest)
    (member,) = (each for each in dataclasses.fields(kind) if each.name == name)
    return member.default if member.default_factory is dataclasses.MISSING else member.default_factory()


@dataclass(frozen=True)
class Field:
    """What a field takes, as its annotation says.

    Parameters
    ----------
    kind : type
        Of a value, or of each value of a list.
    length : Length or None
        Of a list; None if the field is a single value.
    range : Range or None
    choices : tuple or mapping, or None
        The values that do; of a mapping, its keys.
    only : tuple of Only
    """

    kind: type
    length: Length | None
    range: Range | None
    choices: tuple[object, ...] | Mapping[str, object] | None
    only: tuple[Only, ...]

    def takes(self, given: object) -> bool:
        if self.length is None:
            return self._takes_one(given)
        return (
            isinstance(given, tuple)
            and self.length.least <= len(given) <= self.length.most
            and all(map(self._takes_one, given))
        )

    def _takes_one(self, given: object) -> bool:
        if isinstance(self.choices, Mapping):
            return isinstance(given, str) and given in self.choices
        if self.choices is not None:
            return any(type(given) is type(choice) and given == choice for choice in self.choices)
        if self.kind not in (int, float):
            return isinstance(given, self.kind)
        if isinstance(given, bool) or not isinstance(given, int if self.kind is int else int | float):
            return False
        limits = self.range or Range(-_LARGEST, _LARGEST)
        # which is false of a NaN
        return limits.least <= given <= limits.most

    @property
    def expected(self) -> str:
        """What would do in place of a value that does not."""
        if self.choices is not None:
            one = _listing(self.choices)
        else:
            one = _NAMES.get(self.kind, f"an instance of {self.kind.__name__}")
            if self.range is not None:
                one += f" from {self.range.least} to {self.range.most}{self.range.note}"
        if self.length is None:
            return one
        return f"a list of {self.length.least} to {self.length.most} values, each {one}"


@functools.cache
def fields_of(kind: type) -> Mapping[str, Field]:
    """What each field of a dataclass takes."""
    hints = get_type_hints(kind, include_extras=True)
    return {member.name: field_of(hints[member.name]) for member in dataclasses.fields(kind)}


def field_of(hint: Any) -> Field:
    """What a field with this annotation takes."""
    hint, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    found = {type(note): note for note in notes}
    length = None
    if get_origin(hint) is Sequence:
        (hint,), length = get_args(hint), found[Length]
    choices = get_args(hint) if get_origin(hint) is Literal else None
    return Field(
        kind=get_origin(hint) or hint,
        length=length,
        range=found.get(Range),
        choices=found[OneOf].choices if OneOf in found else choices,
        only=tuple(note for note in notes if isinstance(note, Only)),
    )


def one_of(what: str, given: object, accepted: Iterable[_T], more: str = "") -> _T:
    """``given``, if it is among what is accepted; ValueError, with the closest one, if not."""
    accepted = list(accepted)
    for each in accepted:
        if each == given:
            return each
    raise ValueError(f"{what} must be {_listing(accepted)}{more}, not {shown(given)}{close_to(given, accepted)}")


def _listing(accepted: Iterable[object]) -> str:
    names = [str(each) for each in accepted]
    return " or ".join(names) if len(names) == 2 else f"one of {', '.join(names) or 'none at all'}"


def close_to(given: object, accepted: Iterable[object]) -> str:
    """What may have been meant by ``given``, as the end of a message."""
    if not isinstance(given, str) or len(given) > _SHORT:
        return ""
    close = difflib.get_close_matches(given, [each for each in accepted if isinstance(each, str)], n=1)
    return f"; did you mean {close[0]}?" if close else ""


class _Short(reprlib.Repr):
    """What is too long for one line is cut in its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write integers of more than 4300 digits
        return super().repr_int(x, level) if x.bit_length() < 1000 else f"<{x.bit_length()} bits>"


def shown(given: object) -> str:
    """A value as a message has it: as Python writes it, on one line and not too long."""
    return _Short().repr(given)
