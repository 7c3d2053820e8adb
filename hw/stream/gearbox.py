"""From words of a memory to beats of a stream."""

from math import gcd

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hw.core.unit import Unit

__all__ = ["Gearbox"]


class Gearbox(Unit):
    """Cuts a stream of words into beats, the low bits first; one word or beat a cycle.

    Ports
    -----
    words : In(stream)
    used : In
        Bytes of the word that count, less one: all, but at the end of a run of beats.
    beats : Out(stream)
    empty : Out(1)
        Nothing is left of any word.

    ``ready`` of the words depends on nothing but registers.

    Parameters
    ----------
    word, beat : int
        Bits, whole bytes.
    """

    def __init__(self, *, word: int, beat: int) -> None:
        self.word = word
        self.beat = beat
        # what a word and a beat are whole numbers of
        self.grain = gcd(word, beat)
        super().__init__(
            {
                "words": In(stream.Signature(word)),
                "used": In((word // 8 - 1).bit_length()),
                "beats": Out(stream.Signature(beat)),
                "empty": Out(1),
            }
        )

    @property
    def name(self) -> str:
        return f"gearbox_{self.word}_to_{self.beat}"

    def circuit(self, platform: object) -> Module:
        m = Module()
        in_word, in_beat = self.word // self.grain, self.beat // self.grain
        room = in_word + in_beat
        held = Signal(room * self.grain, name="held", reset_less=True)
        count = Signal(range(room + 1), name="grains")
        rest = Signal(range(room + 1), name="grains_kept")
        taken, put = Signal(name="beat_taken"), Signal(name="word_put")
        # whole grains are used, of words and of runs
        grains = (self.used >> (self.grain // 8 - 1).bit_length()) + 1 if in_word > 1 else 1
        m.d.comb += [
            self.empty.eq(count == 0),
            self.words.ready.eq(count <= in_beat),
            self.beats.valid.eq(count >= in_beat),
            self.beats.payload.eq(held[: self.beat]),
            put.eq(self.words.valid & self.words.ready),
            taken.eq(self.beats.valid & self.beats.ready),
            rest.eq(Mux(taken, count - in_beat, count)),
        ]
        m.d.sync += count.eq(rest + Mux(put, grains, 0))
        kept = Mux(taken, held >> self.beat, held)
        for place in range(room):
            low = place * self.grain
            m.d.sync += held[low : low + self.grain].eq(self._grain(place, kept, rest, put, in_word, in_beat))
        return m

    def _grain(self, place: int, kept: Value, rest: Signal, put: Signal, in_word: int, in_beat: int) -> Value:
        """What stands at a place: what is kept, or a grain of the word that is put behind it."""
        value: Value = kept.word_select(place, self.grain)
        for first in range(max(0, place - in_word + 1), min(place, in_beat) + 1):
            value = Mux(put & (rest == first), self.words.payload.word_select(place - first, self.grain), value)
        return value
