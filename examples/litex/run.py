"""Run the simulator, and fail unless the firmware says that all results are equal.

`python run.py FOLDER`, the simulator's own: it reads its clocks from there.
"""

import argparse
import subprocess
import sys
import threading
from pathlib import Path

__all__ = ["main", "verdict"]


def verdict(output: str) -> bool:
    """Whether the firmware's last word is that it passed."""
    words = [line.strip() for line in output.splitlines()]
    said = [word for word in words if word in ("PASSED", "FAILED")]
    return said[-1:] == ["PASSED"]


def main() -> int:
    """Run it, show what the firmware prints, and judge."""
    parser = argparse.ArgumentParser(description="Run the simulator and judge.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=1800, help="give up after so many")
    arguments = parser.parse_args()
    # its standard input is the serial line: a pipe that stays open is one on which nobody types
    process = subprocess.Popen(
        [arguments.folder.resolve() / "obj_dir" / "Vsim"],
        cwd=arguments.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    timer = threading.Timer(arguments.seconds, process.kill)
    timer.start()
    output = ""
    for line in process.stdout or ():
        output += line
        print(line.rstrip(), flush=True)
    status = process.wait()
    timer.cancel()
    if status:
        print(f"The simulator ended with status {status}", file=sys.stderr)
    return 0 if status == 0 and verdict(output) else 1


if __name__ == "__main__":
    sys.exit(main())
