"""Keeping a recorded session: whoever sits at the terminal is asked for what no rule finds, and nothing is lost."""

import json
import os
import pty
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

STATE = b64encode(b"\xff\x16Mr Quentin Sampler\x02").decode()
KEEP = """
import sys
from pathlib import Path
from pydantic import SecretStr
from casehand.bots.bot import Account
from casehand.console.recording import _keep
from casehand.exceptions import CasehandError

try:
    _keep(Path("raw.har"), Path("kept.har"), Account("robot", SecretStr("practice-only")), [])
except CasehandError as error:
    sys.exit(f"casehand: {error}")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    page = {"mimeType": "text/html", "text": f"<p class='{STATE}'>Saved</p>"}
    request = {"method": "GET", "url": "http://system.test/claim", "headers": []}
    entry = {"request": request, "response": {"status": 200, "headers": [], "content": page}}
    (tmp_path / "raw.har").write_text(json.dumps({"log": {"entries": [entry]}}))
    return tmp_path


def kept(folder: Path, *answers: str) -> tuple[int, str]:
    """What it ends with and says to somebody at a terminal who answers so."""
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    ran = subprocess.run(
        [sys.executable, "-c", KEEP], cwd=folder, stdin=theirs, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(ours)
    os.close(theirs)
    return ran.returncode, ran.stderr


def test_at_a_terminal_what_is_left_is_said_and_asked_for_until_nothing_is_left(folder: Path) -> None:
    code, said = kept(folder, "no such text", STATE)
    assert code == 0, said
    assert said.count("left: name: Mr Quentin Sampler (entry 1, GET /claim)") == 2
    assert "The session is in kept.har" in said
    assert STATE not in (folder / "kept.har").read_text()


def test_at_a_terminal_one_may_give_the_session_up(folder: Path) -> None:
    code, said = kept(folder, "")
    assert code == 1
    assert "casehand: nothing was written: the name in entry 1 (GET /claim) would be left" in said
    assert not (folder / "kept.har").exists()


def test_without_a_terminal_it_is_an_error_of_one_line_that_names_nobody(folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", KEEP], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith(
        "casehand: nothing was written: the name in entry 1 (GET /claim) would be left"
    )
    assert ran.stderr.count("\n") == 1
    assert "Sampler" not in ran.stderr
    assert not (folder / "kept.har").exists()
