"""Writes the part of docs/mutants.md on the NumPy model: how many faults of it the tests of `tests/sw_ref` find.

Run ``python -m docs.figures.model_mutants`` with cosmic-ray 8.7.0 on the PATH. The faults are in a clone below build;
a run that was stopped goes on from there. Half an hour on one processor.
"""

import ast
import os
import random
import sqlite3
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from docs.figures.measured import clean_commit, rewrite
from docs.figures.mutants import PATH
from docs.tables import markdown_table, plain

__all__ = ["MARKS", "Fault", "annotated", "drawn", "faults", "main", "section"]

MARKS = ("<!-- model mutants: begin -->", "<!-- model mutants: end -->")
_ROOT = Path(__file__).parents[2]
# What the tests of `tests/sw_ref` specify; those of engines and accelerators hold the rest against hardware.
_MODULES = (*(f"sw_ref/{room}" for room in ("arith", "drain", "formats", "quantize")), "sw_ref/interval.py")
_COUNT = 300
# The tests of the module come first, as they find most. More seconds of a processor than four runs of all tests take.
_TESTS = """
[cosmic-ray]
module-path = [{modules}]
timeout = 1200.0
excluded-modules = []
test-command = "sh {script}"

[cosmic-ray.distributor]
name = "local"
"""
_SCRIPT = r"""
ulimit -t 120
tests="python -m pytest -x -q -n 0"
own=$(git diff --name-only | sed -E 's,^(.*)/([^/]+)$,tests/\1/test_\2,')
if [ -f "$own" ]; then $tests "$own" || exit 1; fi
$tests tests/sw_ref
"""


@dataclass(frozen=True, order=True)
class Fault:
    """A fault and what has become of it.

    ``removed`` and ``added`` : lines of source, with no spaces around them.
    """

    module: str
    function: str
    removed: str
    added: str
    is_killed: bool


def annotated(source: str) -> Iterator[tuple[int, int, int, int]]:
    """Places of annotations, which compute nothing: first line and column, last line and column."""
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            each = getattr(node, name, None)
            if isinstance(each, ast.expr):
                assert each.end_lineno is not None and each.end_col_offset is not None
                yield each.lineno, each.col_offset, each.end_lineno, each.end_col_offset


def drawn(session: Path, root: Path, count: int, seed: int = 0) -> None:
    """Leave so many faults in a session, no two of the same operator or number of the source, none in annotations."""
    with closing(sqlite3.connect(session)) as file, file:
        columns = "module_path, start_pos_row, start_pos_col, operator_name, occurrence, job_id"
        places, hidden = defaultdict(list), {}
        for module, row, column, *_operator, job in sorted(file.execute(f"select {columns} from mutation_specs")):
            if module not in hidden:
                hidden[module] = list(annotated((root / module).read_text(encoding="utf-8")))
            if not any(top[:2] <= (row, column) < top[2:] for top in hidden[module]):
                places[module, row, column].append(job)
        chosen = random.Random(seed)
        jobs = [chosen.choice(places[each]) for each in chosen.sample(sorted(places), min(count, len(places)))]
        for table in ("mutation_specs", "work_items"):
            file.execute(f"delete from {table} where job_id not in ({', '.join('?' * len(jobs))})", jobs)


def faults(session: Path) -> list[Fault]:
    """All of a session.

    Raises
    ------
    ValueError
        If one of them has not been run.
    """
    with closing(sqlite3.connect(session)) as file:
        rows = file.execute(
            "select module_path, definition_name, diff, test_outcome from mutation_specs left join work_results "
            "using (job_id)"
        ).fetchall()
    found = []
    for module, function, diff, outcome in rows:
        if outcome not in ("KILLED", "SURVIVED"):
            raise ValueError(f"Faults must be killed or survive, which one of {module} does not: {outcome}")
        lines = {sign: [line[1:].strip() for line in diff.splitlines()[2:] if line[:1] == sign] for sign in "-+"}
        found.append(Fault(module, function or "", " ".join(lines["-"]), " ".join(lines["+"]), outcome == "KILLED"))
    return sorted(found)


def section(found: Sequence[Fault], made_of: str) -> str:
    """All figures and all survivors, as a part of the page."""
    told = (
        f"All figures are measured, of commit {made_of}, written by `python -m docs.figures.model_mutants`: "
        f"{len(found)} faults, drawn among all places in these modules."
    )
    all_, killed = Counter(_room(each) for each in found), Counter(_room(each) for each in found if each.is_killed)
    rows = [[f"`{room}`", *_cells(all_[room], killed[room])] for room in sorted(all_)]
    rows.append(["all", *_cells(len(found), killed.total())])
    parts = [told, markdown_table(["modules", "mutants", "killed", "share"], rows).strip()]
    left = [each for each in found if not each.is_killed]
    if left:
        listed = [
            [f"`{each.module.removeprefix('sw_ref/')}`", plain(each.function), plain(each.removed), plain(each.added)]
            for each in left
        ]
        parts.append(markdown_table(["survivor in", "function", "line", "with the fault"], listed).strip())
    return "\n\n".join(parts) + "\n"


def _room(fault: Fault) -> str:
    return str(Path(fault.module).parent)


def _cells(count: int, killed: int) -> list[str]:
    return [str(count), str(killed), f"{killed / count:.1%}"]


def main() -> None:
    """Mutate a clone, and rewrite the page."""
    made_of = clean_commit()
    folder = _ROOT / "build" / "model_mutants" / made_of
    tree, session, settings = folder / "tree", folder / "session.sqlite", folder / "cosmic_ray.toml"
    # the tests of the clone, and the model that they find there
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    if not session.exists():
        folder.mkdir(parents=True)
        subprocess.run(["git", "clone", "--quiet", _ROOT, tree], check=True)
        (folder / "tests.sh").write_text(_SCRIPT)
        modules = ", ".join(f'"{each}"' for each in _MODULES)
        settings.write_text(_TESTS.format(modules=modules, script=folder / "tests.sh"))
        begun = folder / "begun.sqlite"
        subprocess.run(["cosmic-ray", "init", settings, begun], cwd=tree, check=True)
        drawn(begun, tree, _COUNT)
        begun.rename(session)
    # what a run that was stopped has left
    subprocess.run(["git", "checkout", "--quiet", "."], cwd=tree, check=True)
    subprocess.run(["sh", folder / "tests.sh"], cwd=tree, env=environment, check=True)
    subprocess.run(["cosmic-ray", "exec", settings, session], cwd=tree, env=environment, check=True)
    rewrite(section(faults(session), made_of), *MARKS, PATH)


if __name__ == "__main__":
    main()
