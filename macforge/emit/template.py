"""Texts that are written around a design, as templates beside this file."""

import functools

import jinja2

__all__ = ["template"]


def template(name: str) -> jinja2.Template:
    """One of the files in ``templates``; what it names must be given to its ``render``."""
    return _environment().get_template(name)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("macforge.emit"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
