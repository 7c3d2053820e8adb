"""Programs as files: arrays in safetensors, everything else as JSON in its header."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from hw.core.digest import digest
from hw.emit.cache import write_whole
from macforge.compile.layout import Digit, Segment
from macforge.compile.program import ActPlan, Part, Program
from macforge.design.target import plain_target, target_of
from macforge.files import kind_of
from macforge.provenance import made_by
from sw_ref.formats.catalog import parse_format
from sw_ref.quantize.uniform import Quantized

__all__ = ["VERSION", "load_program", "save_program"]

VERSION = 4
"""Of the files: what is in them, and what it means."""

_KEY = "macforge_program"
_KNOWN = ("static", "given")


def save_program(program: Program, path: str | Path) -> None:
    """Write a program to a file, whole or not at all."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in _arrays(program).items()}
    header = _header(program)
    header["check"] = _check(header, arrays)
    write_whole(path, save(arrays, metadata={_KEY: json.dumps(header)}))


def load_program(path: str | Path) -> Program:
    """The program of a file.

    Raises
    ------
    ValueError
        If there is no such file, it is not one of a program, is damaged, or was written by another version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"Program must be a file that exists, not {path}")
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(_KEY)
            names = file.keys()
            arrays = {name: file.get_tensor(name) for name in names} if text else {}
    except SafetensorError as error:
        kind = kind_of(path)
        raise ValueError(
            f"Program must be a file that `macforge compile` wrote, which {path} is not: "
            f"{f'it is {kind}' if kind else error}"
        ) from None
    if text is None:
        raise ValueError(f"Program must be a file that `macforge compile` wrote, not other tensors as {path} holds")
    damaged = ValueError(f"Program {path} is damaged: it is not what was written")
    try:
        header = json.loads(text)
    except ValueError:
        raise damaged from None
    if not isinstance(header, dict):
        raise damaged
    if header.get("version") != VERSION:
        raise ValueError(
            f"Program {path} is of version {header.get('version')}, and this macforge reads {VERSION}: compile it again"
        )
    if header.pop("check", None) != _check(header, arrays):
        raise damaged
    return _program(header, arrays)


def _check(header: dict[str, object], arrays: dict[str, np.ndarray]) -> str:
    parts = (part for name in sorted(arrays) for part in (name, str(arrays[name].dtype), arrays[name].tobytes()))
    return digest(json.dumps(header, sort_keys=True), *parts)


def _header(program: Program) -> dict[str, object]:
    """All that is no array, as plain data."""
    header = {
        "version": VERSION,
        "made_by": dict(made_by()),
        "target": plain_target(program.target),
        **{name: getattr(program, name) for name in ("k", "n", "exponent", "integral")},
        "parts": [{"exponent": part.exponent, "parameters": list(part.parameters)} for part in program.parts],
    }
    if program.acts:
        acts = program.acts
        segments = [dataclasses.asdict(segment) for segment in acts.segments]
        header["acts"] = {"group": acts.group, "segments": segments, "exponent": acts.exponent}
        header |= {name: one and one.format.name for name, one in _known_acts(acts).items()}
    if program.weight is not None:
        header["weight"] = {"format": program.weight.format.name, "group_size": program.weight.group_size}
    # tuples are lists once they are read
    return json.loads(json.dumps(header))


def _known_acts(acts: ActPlan) -> dict[str, Quantized | None]:
    """Scales and zero points of activations that are known."""
    return {name: getattr(acts, name) for name in _KNOWN}


def _arrays(program: Program) -> dict[str, np.ndarray]:
    arrays = {}
    for index, part in enumerate(program.parts):
        fields = {name: getattr(part, name) for name in ("columns", "codes", "channel", "size", "bias")}
        fields |= {f"parameters.{name}": array for name, array in part.parameters.items()}
        arrays |= {f"parts.{index}.{name}": array for name, array in fields.items()}
    if program.acts:
        acts = {"wide": program.acts.wide, "order": program.acts.order}
        for name, one in _known_acts(program.acts).items():
            acts |= {f"{name}.scale": one and one.scale, f"{name}.zero_point": one and one.zero_point}
        arrays |= {f"acts.{name}": array for name, array in acts.items() if array is not None}
    if program.weight is not None:
        arrays |= {f"weight.{name}": getattr(program.weight, name) for name in ("codes", "scale", "zero_point")}
    if program.offset is not None:
        arrays["weight.offset"] = program.offset
    return arrays


def _program(header: dict, arrays: dict[str, np.ndarray]) -> Program:
    target = target_of(header["target"])
    plain = {name: header[name] for name in ("k", "n", "exponent", "integral")}
    if "weight" in header:
        weight = {name: arrays[f"weight.{name}"] for name in ("codes", "scale", "zero_point")}
        group_size = header["weight"]["group_size"]
        form = parse_format(header["weight"]["format"])
        acts = _act_plan(header, arrays) if "acts" in header else None
        quantized = Quantized(**weight, format=form, k_axis=0, group_size=group_size)
        offset = arrays.get("weight.offset")
        return Program(target=target, **plain, acts=acts, weight=quantized, offset=offset)
    parts = [_part(index, part, arrays) for index, part in enumerate(header["parts"])]
    return Program(target=target, **plain, acts=_act_plan(header, arrays), parts=tuple(parts))


def _part(index: int, header: dict, arrays: dict[str, np.ndarray]) -> Part:
    fields = {name: arrays[f"parts.{index}.{name}"] for name in ("columns", "codes", "channel", "size", "bias")}
    parameters = {name: arrays[f"parts.{index}.parameters.{name}"] for name in header["parameters"]}
    return Part(**fields, parameters=parameters, exponent=header["exponent"])


def _act_plan(header: dict, arrays: dict[str, np.ndarray]) -> ActPlan:
    acts = header["acts"]
    segments = tuple(
        Segment(**{**one, "digit": Digit(**one["digit"]), "weight": Digit(**one["weight"])}) for one in acts["segments"]
    )
    known = {}
    for name in _KNOWN:
        if header[name]:
            scale, zero_point = arrays[f"acts.{name}.scale"], arrays[f"acts.{name}.zero_point"]
            none = np.zeros((0, header["k"]), np.uint32)
            form = parse_format(header[name])
            known[name] = Quantized(codes=none, scale=scale, zero_point=zero_point, format=form, k_axis=1)
    return ActPlan(
        group=acts["group"],
        segments=segments,
        wide=arrays["acts.wide"],
        order=arrays.get("acts.order"),
        exponent=acts["exponent"],
        **known,
    )
