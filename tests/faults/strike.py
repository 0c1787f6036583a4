"""Runs in the horse: says that it has come to a planned point of a planned case, and waits there for the strike."""

import json
import os
import time
from pathlib import Path

from casehand.points import Point
from casehand.workflows.lane import CURRENT
from faults.process import children

FOLDER = "CASEHAND_FAULTS_FOLDER"
"""Names the folder in which the plans lie: `<case>.plan` becomes `<case>.here`, and `<case>.go` lets it go on."""

LONGEST_WAIT = 120.0
LOOK_SECONDS = 0.003


def strike(point: Point, case: str, attempt: int) -> None:
    """Called at each point: wait here when this is the one that was planned for the case."""
    folder = Path(os.environ[FOLDER])
    plan = folder / f"{case}.plan"
    try:
        wanted = json.loads(plan.read_text())
    except FileNotFoundError:
        return
    if wanted["point"] != point or (wanted["needs_browser"] and not children(os.getpid())):
        return
    plan.unlink()
    _say_here(folder, case, attempt)
    if wanted["holds"]:
        _wait_for(folder / f"{case}.go")


def _say_here(folder: Path, case: str, attempt: int) -> None:
    worker = int(CURRENT.get().worker.rpartition(".")[2])
    here = {"horse": os.getpid(), "worker": worker, "attempt": attempt}
    half = folder / f"{case}.half"
    half.write_text(json.dumps(here))
    half.rename(folder / f"{case}.here")


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not path.exists() and time.monotonic() < deadline:
        # The harness strikes meanwhile, and the other lanes go on.
        CURRENT.get().pause(LOOK_SECONDS)
