"""Uploads: kept encrypted, for their sender, for an hour."""

import io
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from casehand.exceptions import CasehandError
from casehand.queue import uploads as kept
from casehand.queue.ledger import new_id
from casehand.queue.uploads import NoSuchUpload, Upload, Uploads, clean_name
from casehand.queue.vault import Vault

SENDER = "s.sample@example.test"
SECRET = b"claim,claimant\nHB000125,Mx Test Birch\n"


class Clock:
    now = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(tmp_path: Path, vault: Vault, clock: Clock) -> Uploads:
    return Uploads(tmp_path / "uploads", vault, clock, new_id)


def sent(uploads: Uploads, content: bytes = SECRET, name: str = "rents.csv") -> Upload:
    with uploads.received(name, io.BytesIO(content)) as path:
        return uploads.keep(path, SENDER, {"workflow": "w", "preview": {"accepted": 1}})


def everything(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*"))


def test_a_file_comes_back_as_it_was_sent_with_its_name(uploads: Uploads) -> None:
    content = os.urandom(2 * kept.PIECE + 17)
    upload = sent(uploads, content, "Rents November.xlsx")

    found = uploads.find(upload.id, SENDER)
    with uploads.opened(found) as path:
        assert (path.name, path.read_bytes()) == ("Rents November.xlsx", content)

    assert found == upload
    assert not path.exists()


def test_nobody_else_on_the_machine_can_read_it(uploads: Uploads, tmp_path: Path) -> None:
    upload = sent(uploads)
    for path in everything(tmp_path / "uploads"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        if path.is_file():
            assert b"Birch" not in path.read_bytes()
    with uploads.opened(upload) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_key_does_not_open_it(uploads: Uploads, tmp_path: Path, clock: Clock) -> None:
    upload = sent(uploads)
    other = Uploads(tmp_path / "uploads", Vault(os.urandom(32)), clock, new_id)
    with pytest.raises(CasehandError):
        other.find(upload.id, SENDER)


@pytest.mark.parametrize("who", ["k.sample@example.test", ""])
def test_it_is_there_for_nobody_but_its_sender(uploads: Uploads, who: str) -> None:
    upload = sent(uploads)
    with pytest.raises(NoSuchUpload):
        uploads.find(upload.id, who)


@pytest.mark.parametrize(
    "which",
    ["", ".", "..", "1-../../key", "\0", "9" * 40, "1-" + "0" * 32, "x" * 300, "1764000000-" + "0" * 32],
)
def test_what_no_upload_is_called_is_not_looked_for(uploads: Uploads, which: str) -> None:
    with pytest.raises(NoSuchUpload):
        uploads.find(which, SENDER)


def test_after_an_hour_it_is_not_found_and_then_thrown_away(
    uploads: Uploads, tmp_path: Path, clock: Clock
) -> None:
    early = sent(uploads)
    clock.now += timedelta(minutes=59)
    late = sent(uploads)
    assert uploads.clear() == 0
    assert uploads.find(early.id, SENDER).id == early.id

    clock.now += timedelta(minutes=1)

    with pytest.raises(NoSuchUpload):
        uploads.find(early.id, SENDER)
    assert uploads.clear() == 1
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [late.id]


def test_what_a_process_that_died_has_left_goes_with_it(
    uploads: Uploads, tmp_path: Path, clock: Clock
) -> None:
    left = tmp_path / "uploads" / f"{int(clock.now.timestamp())}-abc"
    left.mkdir(parents=True)
    (left / "rents.csv").write_bytes(SECRET)
    clock.now += timedelta(hours=2)
    assert uploads.clear() == 1
    assert not left.exists()


def test_it_is_gone_when_it_was_taken_in(uploads: Uploads) -> None:
    upload = sent(uploads)
    uploads.forget(upload)
    uploads.forget(upload)
    with pytest.raises(NoSuchUpload):
        uploads.find(upload.id, SENDER)
    with pytest.raises(NoSuchUpload), uploads.opened(upload):
        pass


def test_pieces_that_are_exchanged_or_cut_are_not_taken(uploads: Uploads, tmp_path: Path) -> None:
    upload = sent(uploads, os.urandom(2 * kept.PIECE))
    file = tmp_path / "uploads" / upload.id / "file"
    whole = file.read_bytes()
    half = len(whole) // 2
    for altered in (whole[half:] + whole[:half], whole[:half], whole[:-1]):
        file.write_bytes(altered)
        with pytest.raises(CasehandError), uploads.opened(upload) as path:
            path.read_bytes()


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("rents.csv", "rents.csv"),
        ("C:\\Users\\test\\rents.xlsx", "rents.xlsx"),
        ("../../etc/passwd.csv", "passwd.csv"),
        ("/", "file"),
        ("...", "file"),
        ("re\0nts\u202e.csv", "re nts.csv"),
        ("=cmd()|'x'!A1.csv", "=cmd()|'x'!A1.csv"),
        ("\udcff.csv", "file.csv"),
        ("ü" * 400 + ".csv", "ü" * 50 + ".csv"),
        ("no ending", "no ending"),
    ],
)
def test_a_name_is_made_such_that_a_file_may_bear_it(name: str, clean: str) -> None:
    assert clean_name(name) == clean
    assert len(clean_name(name).encode()) < 250
