"""A processing element that is broken makes the suite fail."""

import os
import subprocess
import sys
from pathlib import Path

from tests.broken import STUCK_BIT

ROOT = Path(__file__).parent.parent


def test_broken_pe_is_found(tmp_path):
    """The tests of engines, run on a product whose second bit is stuck, end in failures, and say what differs."""
    (tmp_path / "broken_pe.py").write_text(STUCK_BIT)
    command = ["-m", "pytest", "-q", "-x", "-p", "broken_pe", "-k", "plain"]
    done = subprocess.run(
        [sys.executable, *command, "tests/dataflow/engine/test_engine.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "results differ, the first in row" in done.stdout
