"""From words of a memory to beats of a stream."""

from math import gcd

from amaranth.hdl import Cat, Module, Mux, Signal, Value
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
        if self.word == self.beat:
            self._elaborate_same(m)
        elif self.word % self.beat == 0:
            self._elaborate_parts(m)
        elif self.beat % self.word == 0:
            self._elaborate_wholes(m)
        else:
            self._elaborate_grains(m)
        return m

    @property
    def _grains(self) -> Value:
        """Grains of the word that count, less one."""
        return self.used[(self.grain // 8 - 1).bit_length() :]

    def _elaborate_same(self, m: Module) -> None:
        """A word is a beat."""
        m.d.comb += [
            self.beats.payload.eq(self.words.payload),
            self.beats.valid.eq(self.words.valid),
            self.words.ready.eq(self.beats.ready),
            self.empty.eq(1),
        ]

    def _elaborate_parts(self, m: Module) -> None:
        """A word is several beats: they are shifted out."""
        held = Signal(self.word, name="held", reset_less=True)
        left = Signal(range(self.word // self.beat + 1), name="beats_left")
        taken = Signal(name="beat_taken")
        m.d.comb += [
            self.beats.payload.eq(held[: self.beat]),
            self.beats.valid.eq(left != 0),
            self.empty.eq(left == 0),
            taken.eq(self.beats.valid & self.beats.ready),
            self.words.ready.eq((left == 0) | (taken & (left == 1))),
        ]
        with m.If(taken):
            m.d.sync += [held.eq(held[self.beat :]), left.eq(left - 1)]
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += [held.eq(self.words.payload), left.eq(self._grains + 1)]

    def _elaborate_wholes(self, m: Module) -> None:
        """A beat is several words: they are shifted in."""
        words = self.beat // self.word
        held = Signal(self.beat, name="held", reset_less=True)
        count = Signal(range(words + 1), name="words_held")
        m.d.comb += [
            self.beats.payload.eq(held),
            self.beats.valid.eq(count == words),
            self.empty.eq(count == 0),
            self.words.ready.eq(~self.beats.valid | self.beats.ready),
        ]
        rest = Mux(self.beats.valid & self.beats.ready, 0, count)
        m.d.sync += count.eq(rest)
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += [held.eq(Cat(held[self.word :], self.words.payload)), count.eq(rest + 1)]

    def _elaborate_grains(self, m: Module) -> None:
        """Neither is several of the other: words are put behind what is left of those before."""
        in_word, in_beat = self.word // self.grain, self.beat // self.grain
        room = in_word + in_beat
        held = Signal(room * self.grain, name="held", reset_less=True)
        count, rest = Signal(range(room + 1), name="grains"), Signal(range(room + 1), name="grains_kept")
        taken, put = Signal(name="beat_taken"), Signal(name="word_put")
        m.d.comb += [
            self.empty.eq(count == 0),
            self.words.ready.eq(rest <= in_beat),
            self.beats.valid.eq(count >= in_beat),
            self.beats.payload.eq(held[: self.beat]),
            put.eq(self.words.valid & self.words.ready),
            taken.eq(self.beats.valid & self.beats.ready),
            rest.eq(Mux(taken, count - in_beat, count)),
        ]
        m.d.sync += count.eq(rest + Mux(put, self._grains + 1, 0))
        kept = Mux(taken, held[self.beat :], held)
        for place in range(room):
            value: Value = kept.word_select(place, self.grain)
            for first in range(max(0, place - in_word + 1), min(place, in_beat) + 1):
                word = self.words.payload.word_select(place - first, self.grain)
                value = Mux(put & (rest == first), word, value)
            m.d.sync += held.word_select(place, self.grain).eq(value)
