"""Payloads of an engine's streams, beat by beat."""

from collections.abc import Mapping

import numpy as np

from sw_ref.engine.product import Product, expected_invalid, expected_results
from sw_ref.engine.schedule import Schedule
from sw_ref.engine.spec import EngineSpec
from sw_ref.payload import joined, packed
from sw_ref.wide import integer_array

__all__ = ["act_payloads", "parameter_payloads", "result_payloads", "weight_payloads"]


def act_payloads(engine: EngineSpec, product: Product, random: np.random.Generator | None = None) -> np.ndarray:
    """The stream of activations, see `sw_ref.payload.packed`; what lies beyond their edges is 0, or random codes."""
    mode, schedule = engine.modes[product.mode], product.schedule(engine)
    beats = schedule.act_beats(integer_array(product.act), random=random)
    return packed((beats, mode.act.bits), lanes=mode.lanes, word=engine.row_code_bits)


def weight_payloads(engine: EngineSpec, product: Product, random: np.random.Generator | None = None) -> np.ndarray:
    """The stream of weights, see `sw_ref.payload.packed`; what lies beyond their edges is 0, or random codes."""
    mode, schedule = engine.modes[product.mode], product.schedule(engine)
    beats = schedule.weight_beats(integer_array(product.planes), random=random)
    return packed((beats, mode.weight.bits), lanes=mode.lanes, word=engine.column_code_bits)


def parameter_payloads(
    engine: EngineSpec, schedule: Schedule, parameters: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The streams of parameters, see `sw_ref.payload.packed`."""
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
    """The stream of results as the model has it, see `sw_ref.payload.joined`, and which of its bits count, as ones."""
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
