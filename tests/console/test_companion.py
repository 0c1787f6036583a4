"""Companions of a crew: whatever ends one, it is started again."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest
from structlog.testing import capture_logs

from casehand.console import companion
from casehand.console.companion import Companion
from casehand.console.crew import Crew
from casehand.exceptions import CasehandError
from casehand.queue.ledger import Ledger
from casehand.queue.vault import KEY_BYTES, Vault


def _cannot_go_on() -> None:
    raise CasehandError("the ledger cannot be reached")


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("end", "pause"), [(_cannot_go_on, "AGAIN_SECONDS"), (_crash, "RESTART_SECONDS")])
def test_one_that_ended_is_started_again_after_a_pause_and_that_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[], None], pause: str
) -> None:
    for one in ("AGAIN_SECONDS", "RESTART_SECONDS"):
        monkeypatch.setattr(companion, one, 0.2 if one == pause else 600)
    lives = tmp_path / "lives"
    deadline = monotonic() + 20

    def live() -> None:
        with lives.open("a") as file:
            file.write("one\n")
        end()

    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", Vault(bytes(KEY_BYTES)))
    with capture_logs() as logs, Crew(0, 1, tmp_path, ledger, [Companion("scheduler", live)]) as crew:
        crew.work_until(lambda: monotonic() > deadline or _lines(lives) > 2, 0.05)
    ledger.close()

    assert _lines(lives) > 2
    assert {"event": "companion_started_again", "name": "scheduler", "log_level": "warning"} in logs


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0
