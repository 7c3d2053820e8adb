"""Reads damaged copies of a file, and reports those that end in anything but an error of one line.

    python -m tests.macforge.damaged KIND FILE SEED COUNT

Runs in a process of its own, whose memory is limited: a length that is damaged must not be believed.
"""

import json
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from macforge.compile.storage import load_program
from macforge.design.design import load_design
from macforge.files import read_npy
from macforge.measure.sweep.spec import load_sweep
from macforge.model.files import open_model
from macforge.model.llama import open_decoder

__all__ = ["READERS", "damaged"]

# Of memory, and of a processor for one file.
_BYTES, _SECONDS = 3 << 30, 20
_WORDS = (0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)


def _model(path: Path) -> None:
    model = open_model(path)
    for layer in model.layers():
        layer.dequantized()
    model.passed_over()


READERS: dict[str, Callable[[Path], object]] = {
    "model": _model,
    "decoder": open_decoder,
    "program": load_program,
    "array": lambda path: read_npy(path, "Act"),
    "design": lambda path: load_design(str(path)).engine,
    "sweep": load_sweep,
    # that lies beside a checkpoint
    "config": lambda path: _model(path.parent / "model.safetensors"),
}
"""What reads each kind of file."""


def damaged(data: bytes, chance: random.Random) -> bytes:
    """``data`` with one to three faults: bits, bytes, words as lengths are, parts that are cut, doubled or moved."""
    found = bytearray(data)
    for _fault in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(len(found) or 1)
        if chance.random() < 0.5:
            # heads of files are what the rest is read by
            at = min(at, chance.randrange(200))
        length = min(chance.choice((1, 2, 8, 64)), len(found) - at)
        match chance.randrange(7):
            case 0:
                found[at : at + 1] = bytes(byte ^ 1 << chance.randrange(8) for byte in found[at : at + 1])
            case 1:
                found[at : at + length] = chance.randbytes(length)
            case 2:
                word = chance.choice(_WORDS).to_bytes(8, "little")[: chance.choice((1, 4, 8))]
                found[at : at + len(word)] = word
            case 3:
                del found[at:]
            case 4:
                del found[at : at + length]
            case 5:
                found[at:at] = found[at : at + length]
            case _:
                other = chance.randrange(len(found) or 1)
                found[at : at + length] = found[other : other + length]
    return bytes(found)


class _Watch:
    """Takes every exception of what is done in it; ``outcome`` says what it was."""

    outcome = "read"

    def __enter__(self) -> "_Watch":
        signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if isinstance(error, ValueError | OSError) and str(error).strip():
            self.outcome = "refused"
        elif kind is not None:
            self.outcome = f"{kind.__name__}: {error}"[:300]
        return True


class _TooLongError(BaseException):
    """Is taken for no error of a file."""


def _too_long(*_given: object) -> None:
    raise _TooLongError(f"takes more than {_SECONDS} s")


def main(kind: str, file: str, seed: int, count: int) -> None:
    """Print as JSON how many copies were read and refused, and what else came of others, by their numbers."""
    resource.setrlimit(resource.RLIMIT_DATA, (_BYTES, _BYTES))
    signal.signal(signal.SIGVTALRM, _too_long)
    data, outcomes = Path(file).read_bytes(), {}
    with tempfile.TemporaryDirectory() as name:
        folder = shutil.copytree(Path(file).parent, Path(name, "copy"))
        for number in range(seed, seed + count):
            (folder / Path(file).name).write_bytes(damaged(data, random.Random(number)))
            with _Watch() as watch:
                READERS[kind](folder / Path(file).name)
            outcomes[number] = watch.outcome
    found = {each: sum(outcome == each for outcome in outcomes.values()) for each in ("read", "refused")}
    faults = {number: outcome for number, outcome in outcomes.items() if outcome not in found}
    print(json.dumps({**found, "faults": faults}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
