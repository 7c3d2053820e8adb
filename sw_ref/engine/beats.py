"""Payloads of an engine's streams, beat by beat."""

from collections.abc import Mapping

import numpy as np

from sw_ref.engine.product import Product, expected_invalid, expected_results
from sw_ref.engine.schedule import Schedule
from sw_ref.engine.spec import EngineSpec
from sw_ref.wide import integer_array, limbs

__all__ = ["act_payloads", "joined", "packed", "parameter_payloads", "result_payloads", "weight_payloads"]


def packed(*fields: tuple[np.ndarray, int], lanes: int = 1, word: int = 0) -> np.ndarray:
    """Payloads as bytes, low ones first: uint8 ``(beats, bytes)``.

    Parameters
    ----------
    fields : (array (beats, slots), int)
        Codes, and the bits of each. A slot of the payload holds one code of each field, the first field's in the low
        bits; slot 0 is in the low bits of the payload.
    lanes, word : int
        With ``word``, each ``lanes`` slots are put into a word of so many bits, which may be more than they take.
    """
    planes = [
        np.unpackbits(limbs(codes, bits).astype("<u8").view(np.uint8), axis=2, bitorder="little", count=bits)
        for codes, bits in fields
    ]
    slots = np.concatenate(planes, axis=2)
    words = slots.reshape(len(slots), -1, lanes * slots.shape[2])
    words = np.pad(words, ((0, 0), (0, 0), (0, max(0, word - words.shape[2]))))
    return np.packbits(words.reshape(len(words), -1), axis=1, bitorder="little")


def joined(*fields: tuple[np.ndarray, int]) -> np.ndarray:
    """Payloads, see `packed`, in which each field of codes ``(beats, slots)`` lies behind the whole one before it."""
    planes = [
        np.unpackbits(packed((codes, bits)), axis=1, bitorder="little", count=codes.shape[1] * bits)
        for codes, bits in fields
    ]
    return np.packbits(np.concatenate(planes, axis=1), axis=1, bitorder="little")


def act_payloads(engine: EngineSpec, product: Product, random: np.random.Generator | None = None) -> np.ndarray:
    """The stream of activations, see `packed`; what lies beyond their edges is 0, or random codes."""
    mode, schedule = engine.modes[product.mode], product.schedule(engine)
    beats = schedule.act_beats(integer_array(product.act), random=random)
    return packed((beats, mode.act.bits), lanes=mode.lanes, word=engine.row_code_bits)


def weight_payloads(engine: EngineSpec, product: Product, random: np.random.Generator | None = None) -> np.ndarray:
    """The stream of weights, see `packed`; what lies beyond their edges is 0, or random codes."""
    mode, schedule = engine.modes[product.mode], product.schedule(engine)
    beats = schedule.weight_beats(integer_array(product.planes), random=random)
    return packed((beats, mode.weight.bits), lanes=mode.lanes, word=engine.column_code_bits)


def parameter_payloads(
    engine: EngineSpec, schedule: Schedule, parameters: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The streams of parameters, see `packed`."""
    beats = {"column": schedule.column_beats, "row": schedule.row_beats, "output": schedule.output_beats}
    payloads = {}
    for kind, fields in engine.parameters.items():
        columns = []
        for field in fields:
            codes = integer_array(parameters[field.name])
            if field.name == "scale" and codes.ndim == 3:
                # the terms of a scale lie side by side
                terms = codes << (np.arange(len(codes)) * (field.bits // len(codes)))[:, None, None]
                codes = np.bitwise_or.reduce(terms, axis=0)
            columns.append((beats[kind](codes), field.bits))
        payloads[kind] = packed(*columns)
    return payloads


def result_payloads(engine: EngineSpec, product: Product) -> tuple[np.ndarray, np.ndarray]:
    """The stream of results as the model has it, see `joined`, and which of its bits count, as ones."""
    schedule = product.schedule(engine)
    values, counted = schedule.result_beats(expected_results(engine, product))
    last = np.arange(1, len(values) + 1)[:, None] == len(values)
    # all bits of a value that counts
    fields, mask = [(values, engine.result_bits)], [(-counted.astype(int), engine.result_bits)]
    if engine.invalid:
        invalid, _counted = schedule.result_beats(expected_invalid(engine, product))
        fields.append((invalid.astype(int), 1))
        mask.append((counted.astype(int), 1))
    return joined(*fields, (last.astype(int), 1)), joined(*mask, (np.ones_like(last, int), 1))
