"""`casehand workflows`, `bots` and `evidence`: what is there, what it lacks, what is wrong with it."""

import json
import os
from pathlib import Path
from typing import Any

from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault

RENT = "housing-benefit/rent-change"


def test_workflows_are_listed_with_what_they_need_and_what_is_wrong(casehand: Any) -> None:
    ran = casehand("workflows", "--json")
    told = json.loads(ran.stdout)
    assert ran.returncode == 3
    rent = next(one for one in told["workflows"] if one["name"] == RENT)
    assert rent["bots"] == rent["lacks"] == ["benefits"]
    # The desk's commit has no `done`; the samples are clean.
    (finding,) = told["findings"]
    assert finding["file"] == "desk.py"
    line = Path(casehand.folder / "desk.py").read_text().splitlines()[finding["line"] - 1]
    assert 'case.commit("pay")' in line
    assert f"desk.py:{finding['line']}: a commit without done" in casehand("workflows").stdout


def test_bots_are_listed_with_what_they_lack_and_never_a_password(casehand: Any) -> None:
    ran = casehand("bots", "--json")
    assert ran.returncode == 0, ran.stdout
    (bot,) = [one for one in json.loads(ran.stdout)["bots"] if one["name"] == "benefits"]
    assert "set CASEHAND_BOT_BENEFITS_URL" in bot["lacks"]
    given = {
        "BOT_BENEFITS_URL": "https://benefits.example/",
        "BOT_BENEFITS_USERNAME": "robot",
        "BOT_BENEFITS_PASSWORD": "a-secret-word",
    }
    ran = casehand("bots", **given)
    assert "https://benefits.example/" in ran.stdout
    assert "Nothing wrong was found" in ran.stdout
    assert "a-secret-word" not in ran.stdout + ran.stderr


def test_evidence_is_decrypted_where_one_says_and_listed(casehand: Any, refuses: Any) -> None:
    casehand.hand_in("T001,10.00,pay")
    assert "no evidence of T001" in refuses("evidence", "T001")
    case = casehand.json("cases")[0]["id"]
    home = casehand.folder / "home"
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}", Vault.from_file(home / "key"))
    seal = ledger.key_of(case).seal
    for attempt in (1, 2):
        (home / "evidence" / case / str(attempt)).mkdir(parents=True)
        (home / f"evidence/{case}/{attempt}/01-failure.jpg").write_bytes(seal(b"a picture"))
    ledger.close()
    assert casehand.json("evidence", "T001") == [
        {"attempt": 1, "name": "01-failure.jpg"},
        {"attempt": 2, "name": "01-failure.jpg"},
    ]
    ran = casehand("evidence", "T001", "--attempt", "2", "--to", str(casehand.folder / "out-of-it"))
    assert "1 file written" in ran.stdout
    (file,) = (casehand.folder / "out-of-it").iterdir()
    assert file.read_bytes() == b"a picture"
    assert "of attempt 7" in refuses("evidence", "T001", "--attempt", "7")


def test_evidence_that_is_looked_at_is_removed_afterwards(casehand: Any, tmp_path: Path) -> None:
    casehand.hand_in("T001,10.00,pay")
    case = casehand.json("cases")[0]["id"]
    home = casehand.folder / "home"
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}", Vault.from_file(home / "key"))
    folder = home / "evidence" / case / "1"
    folder.mkdir(parents=True)
    (folder / "01-failure.jpg").write_bytes(ledger.key_of(case).seal(b"a picture"))
    ledger.close()
    private = tmp_path / "private"
    private.mkdir()
    # A browser that only looks.
    looks = tmp_path / "looks"
    copies = f'cp "$file" \'{tmp_path}/seen.html\'\nls "$(dirname "$file")" >\'{tmp_path}/seen\'\n'
    looks.write_text(f'#!/bin/sh\nfile="${{1#file://}}"\n{copies}')
    looks.chmod(0o755)
    casehand.environment |= {"TMPDIR": str(private), "BROWSER": str(looks)}
    ran = casehand.run("evidence", "T001")
    assert ran.returncode == 0, ran.stderr
    assert "attempt-1-01-failure.jpg" in (tmp_path / "seen").read_text()
    assert "attempt-1-01-failure.jpg" in (tmp_path / "seen.html").read_text()
    assert os.listdir(private) == []  # noqa: PTH208
