"""Words of the bus that a product takes."""

from collections import Counter
from collections.abc import Iterable

from sw_ref.accelerator.bus import DESCRIPTOR_BYTES
from sw_ref.accelerator.layout import Layout
from sw_ref.engine.schedule import Schedule

__all__ = ["traffic"]


def traffic(layout: Layout, schedules: Iterable[Schedule]) -> Counter[str]:
    """Words that products read of each operand, of descriptors and heads of images, and write as ``result``.

    Weights are read for each panel of rows but for what a cache keeps of them; so are parameters of columns and
    outputs. Parameters of rows are read for each block of columns. Activations are read once.
    """
    return sum((Counter(_of_product(layout, one)) for one in schedules), Counter())


def _of_product(layout: Layout, schedule: Schedule) -> dict[str, int]:
    engine = layout.engine
    panels, blocks = -(-schedule.m // engine.panel_rows), -(-schedule.n // engine.cols)
    beats = schedule.beats

    def of_panel(stream: str) -> int:
        return _words(layout, beats[stream] // panels * layout.stride(stream))

    weight = of_panel("weight")
    words = {
        "descriptor": 2 * _words(layout, 8 * DESCRIPTOR_BYTES),
        "act": schedule.m * _words(layout, len(schedule.k_steps) * layout.act_chunk),
        "weight": weight + (panels - 1) * max(0, weight - layout.kept_words),
    }
    words |= {name: panels * of_panel(name) for name in ("column", "output") if name in engine.parameters}
    if "row" in engine.parameters:
        full, rest = divmod(schedule.m, engine.panel_rows)
        sizes = [engine.panel_rows] * full + [rest] * bool(rest)
        words["row"] = blocks * sum(_words(layout, schedule.sums * rows * layout.stride("row")) for rows in sizes)
    last = schedule.n - (blocks - 1) * engine.cols
    row_words = (blocks - 1) * _words(layout, engine.cols * layout.result_slot)
    words["result"] = schedule.m * schedule.results * (row_words + _words(layout, last * layout.result_slot))
    return words


def _words(layout: Layout, bits: int) -> int:
    """Words of the bus that so many bits take."""
    return -(-bits // layout.bus.data_bits)
