"""From words of a memory to beats of a stream."""

from itertools import pairwise
from math import gcd

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hw.core.select import pick
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
            self._elaborate_ring(m)
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
        """A word is several beats, which are chosen one after the other."""
        beats = self.word // self.beat
        held = Signal(self.word, name="held", reset_less=True)
        full, at, last = Signal(name="full"), Signal(range(beats), name="beat_place"), Signal(range(beats), name="last")
        taken = Signal(name="beat_taken")
        m.d.comb += [
            self.beats.payload.eq(pick(at, [held.word_select(beat, self.beat) for beat in range(beats)])),
            self.beats.valid.eq(full),
            self.empty.eq(~full),
            taken.eq(full & self.beats.ready),
            self.words.ready.eq(~full | (taken & (at == last))),
        ]
        with m.If(taken):
            m.d.sync += at.eq(at + 1)
        with m.If(self.words.ready):
            m.d.sync += [full.eq(self.words.valid), at.eq(0), last.eq(self._grains), held.eq(self.words.payload)]

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

    def _elaborate_ring(self, m: Module) -> None:
        """Neither is several of the other: words stand in a ring of as many as make whole beats.

        A word is not moved, and a beat begins in at most as many places as there are beats in the ring. Where a run of
        beats ends in the middle of a word, so does the ring: it starts anew when the last beat has gone.
        """
        words, beats = self.beat // self.grain, self.word // self.grain
        held = Signal(words * self.word, name="held", reset_less=True)
        full, ends = Signal(words, name="full"), Signal(name="run_ends")
        put_at, take_at = Signal(range(words), name="word_place"), Signal(range(beats), name="beat_place")
        last_beat = Signal.like(take_at, name="last_beat")
        put, taken, leaves = Signal(name="word_put"), Signal(name="beat_taken"), Signal(name="ring_is_left")
        needed = [self._words_of(beat) for beat in range(beats)]
        m.d.comb += [
            self.empty.eq(full == 0),
            self.words.ready.eq(~ends & ~pick(put_at, list(full))),
            self.beats.valid.eq(pick(take_at, [Cat(full[word] for word in of).all() for of in needed])),
            self.beats.payload.eq(pick(take_at, [held.word_select(beat, self.beat) for beat in range(beats)])),
            put.eq(self.words.valid & self.words.ready),
            taken.eq(self.beats.valid & self.beats.ready),
            leaves.eq(taken & ends & (take_at == last_beat)),
        ]
        # words of which no later beat has a part
        gone = pick(
            take_at, [sum(1 << word for word in of if word not in later) for of, later in pairwise([*needed, []])]
        )
        m.d.sync += full.eq(Mux(leaves, 0, (full & ~Mux(taken, gone, 0)) | Mux(put, 1 << put_at, 0)))
        with m.If(put):
            m.d.sync += put_at.eq(Mux(put_at == words - 1, 0, put_at + 1))
            for word in range(words):
                with m.If(put_at == word):
                    m.d.sync += held.word_select(word, self.word).eq(self.words.payload)
        with m.If(taken):
            m.d.sync += take_at.eq(take_at + 1)
        with m.If(leaves):
            m.d.sync += [put_at.eq(0), take_at.eq(0), ends.eq(0)]
        self._elaborate_end(m, put=put, ends=ends, last_beat=last_beat)

    def _words_of(self, beat: int) -> range:
        """Words of the ring that a beat has parts of."""
        return range(beat * self.beat // self.word, ((beat + 1) * self.beat - 1) // self.word + 1)

    def _elaborate_end(self, m: Module, *, put: Signal, ends: Signal, last_beat: Signal) -> None:
        """A word cut short ends a run, whose last beat ends after so many grains of it as no other beat does."""
        words, beats = self.beat // self.grain, self.word // self.grain
        last = {(beat + 1) * words % beats: beat for beat in range(beats)}
        with m.If(put & ~self._grains.all()):
            m.d.sync += [ends.eq(1), last_beat.eq(pick(self._grains, [last[(at + 1) % beats] for at in range(beats)]))]
