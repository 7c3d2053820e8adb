"""What a program costs: cycles, what passes on each stream of the engine, and what an accelerator moves."""

from collections import Counter
from dataclasses import dataclass

from macforge.compile.program import Program
from sw_ref.accelerator.traffic import traffic
from sw_ref.engine.schedule import Schedule, schedule_of

__all__ = ["ProgramCost", "StreamCost", "cost", "schedules"]


@dataclass(frozen=True, kw_only=True)
class StreamCost:
    """What passes on a stream.

    Parameters
    ----------
    beats : int
    bits : int
        Width of a beat's payload.
    """

    beats: int
    bits: int

    @property
    def bytes(self) -> int:
        """Bytes, each beat in whole ones."""
        return self.beats * -(-self.bits // 8)


@dataclass(frozen=True, kw_only=True)
class ProgramCost:
    """What a program costs with so many rows of activations.

    Parameters
    ----------
    rows : int
    cycles : int
        When nothing stalls, all parts one after the other.
    macs : int
        Multiply-accumulates of cells, padding left out.
    utilization : float
        The part of all that the array could have done in these cycles.
    streams : dict of str to StreamCost
    memory : dict of str to int
        Bytes that an accelerator reads of each operand and for its descriptors, and those that it writes as ``result``,
        all in whole words of its bus; empty if results do not fit the bus.
    bus_cycles : int
        Cycles that the bus takes to read or to write that, a word a cycle each way: the larger of both.
    """

    rows: int
    cycles: int
    macs: int
    utilization: float
    streams: dict[str, StreamCost]
    memory: dict[str, int]
    bus_cycles: int

    @property
    def bound_cycles(self) -> int:
        """The larger of ``cycles`` and ``bus_cycles``."""
        return max(self.cycles, self.bus_cycles)

    @property
    def bytes(self) -> int:
        """All that the bus moves."""
        return sum(self.memory.values())


def schedules(program: Program, rows: int) -> list[Schedule]:
    """What the engine does for each part of a program, with so many rows of activations."""
    engine = program.target.engine
    if program.weight is not None:
        group = program.acts.group if program.acts else 0
        return [schedule_of(engine, m=rows, n=program.n, k=program.k, group=group)]
    found = []
    for part in program.parts:
        passes, k, n = part.codes.shape
        found.append(schedule_of(engine, m=rows, n=n, k=k, group=program.plan.group, passes=passes))
    return found


def cost(program: Program, rows: int) -> ProgramCost:
    """Cycles of a program, and beats and bytes on every stream.

    Raises
    ------
    ValueError
        If the engine does not take so many rows.
    """
    done = schedules(program, rows)
    bits = program.target.engine.stream_bits
    streams = {name: StreamCost(beats=sum(one.beats[name] for one in done), bits=width) for name, width in bits.items()}
    cycles = sum(one.cycles for one in done)
    macs = sum(one.macs for one in done)
    words, word_bytes = _moved(program, done)
    read = sum(words.values()) - words["result"]
    return ProgramCost(
        rows=rows,
        cycles=cycles,
        macs=macs,
        utilization=macs / sum(one.cycles * one.peak_macs for one in done),
        streams=streams,
        memory={name: count * word_bytes for name, count in words.items() if word_bytes},
        bus_cycles=max(read, words["result"]),
    )


def _moved(program: Program, done: list[Schedule]) -> tuple[Counter[str], int]:
    """Words that an accelerator moves, and the bytes of one; none of 0 without an accelerator."""
    layout = program.target.layout
    if layout is None:
        return Counter(), 0
    return traffic(layout, done), layout.bus.word_bytes
