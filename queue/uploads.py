"""Uploads: files that were sent for a look and are not taken in yet. Encrypted, for their sender alone, for an hour."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from casehand.exceptions import CasehandError
from casehand.queue.vault import Key, Vault

KEPT = timedelta(hours=1)
PIECE = 1 << 20
"""Bytes that are encrypted at once: a file is never in memory whole."""
LONGEST_STEM = 50
LONGEST_KIND = 10

_ID = re.compile(r"[0-9]{1,12}-[0-9a-f]{32}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_KEY, _ABOUT, _FILE = "key", "about", "file"


class NoSuchUpload(CasehandError):
    """It is not there (any more), or somebody else's."""

    def __init__(self) -> None:
        super().__init__(
            "the file is not kept any more: it was taken in, or an hour has gone; choose it again"
        )


@dataclass(frozen=True)
class Upload:
    """A file that waits for its sender's word."""

    id: str
    by: str
    name: str  #: the file's
    sent_at: datetime
    notes: dict[str, Any] = field(repr=False)  #: what is to be kept with it, of what JSON knows

    @property
    def until(self) -> datetime:
        """When it is thrown away."""
        return self.sent_at + KEPT


class Uploads:
    """Where they are kept: a folder of mode 0700."""

    def __init__(
        self, folder: Path, vault: Vault, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._folder = folder
        self._vault = vault
        self._clock = clock
        self._new_id = new_id

    @contextmanager
    def received(self, name: str, content: BinaryIO) -> Iterator[Path]:
        """What was sent, as a file that bears its name and is there while one looks at it."""
        with self._room() as room:
            path = room / clean_name(name)
            with _private(path) as file:
                shutil.copyfileobj(content, file, PIECE)
            yield path

    def keep(self, path: Path, by: str, notes: dict[str, Any]) -> Upload:
        """Keep a file for an hour, for whom it was sent by."""
        now = self._clock()
        upload = Upload(f"{int(now.timestamp())}-{self._new_id()}", by, path.name, now, notes)
        key, wrapped = self._vault.new_key(_subject(upload.id))
        place = self._folder / upload.id
        place.mkdir(mode=0o700)
        with path.open("rb") as plain, _private(place / _FILE) as file:
            for number, piece in _numbered(plain):
                sealed = key.seal(number + piece)
                file.write(len(sealed).to_bytes(8) + sealed)
        with _private(place / _ABOUT) as file:
            about = asdict(upload) | {"sent_at": now.isoformat()}
            file.write(key.seal(json.dumps(about).encode()))
        with _private(place / _KEY) as file:
            file.write(wrapped)
        return upload

    def find(self, which: str, by: str) -> Upload:
        """The upload of that id. Raises NoSuchUpload when there is none, or not his, or its hour is over."""
        if not _ID.fullmatch(which) or self._is_over(which):
            raise NoSuchUpload
        try:
            about = json.loads(self._key(which).open((self._folder / which / _ABOUT).read_bytes()))
        except (OSError, ValueError):
            raise NoSuchUpload from None
        if about["by"] != by:
            raise NoSuchUpload
        return Upload(**about | {"sent_at": datetime.fromisoformat(about["sent_at"])})

    @contextmanager
    def opened(self, upload: Upload) -> Iterator[Path]:
        """The file as it was sent, while one works with it. Raises NoSuchUpload."""
        key = self._key(upload.id)
        with self._room() as room:
            path = room / upload.name
            try:
                with (self._folder / upload.id / _FILE).open("rb") as sealed, _private(path) as file:
                    for piece in _pieces(sealed, key):
                        file.write(piece)
            except OSError:
                raise NoSuchUpload from None
            yield path

    def forget(self, upload: Upload) -> None:
        """Throw it away."""
        self._throw_away(self._folder / upload.id)

    def clear(self) -> int:
        """Throw away all whose hour is over, and what a process that died has left; returns how many."""
        over = [place for place in self._all() if self._is_over(place.name)]
        for place in over:
            self._throw_away(place)
        return len(over)

    def _all(self) -> list[Path]:
        try:
            return list(self._folder.iterdir())
        except FileNotFoundError:
            return []

    def _is_over(self, name: str) -> bool:
        begun, _, _ = name.partition("-")
        sent_at = datetime.fromtimestamp(int(begun), UTC) if begun.isdecimal() else None
        return sent_at is None or self._clock() >= sent_at + KEPT

    def _throw_away(self, place: Path) -> None:
        # The key first: whatever else is left is noise.
        with suppress(FileNotFoundError):
            (place / _KEY).unlink()
        shutil.rmtree(place, ignore_errors=True)

    def _key(self, upload: str) -> Key:
        try:
            return self._vault.open_key(_subject(upload), (self._folder / upload / _KEY).read_bytes())
        except OSError:
            raise NoSuchUpload from None

    @contextmanager
    def _room(self) -> Iterator[Path]:
        """A folder of mode 0700 to work in, which is thrown away at the end; by `clear` if this process dies."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f"{int(self._clock().timestamp())}-", dir=self._folder) as room:
            yield Path(room)


def clean_name(name: str) -> str:
    """A file's name as a browser sent it, without folders, what cannot be seen, and what is too long."""
    last = re.split(r"[/\\]", name)[-1]
    plain = _UNFIT.sub(" ", last).strip()
    stem, dot, kind = plain.rpartition(".")
    if not dot or len(kind) > LONGEST_KIND:
        stem, kind = plain, ""
    # A folder's entry has 255 bytes, and one letter up to four.
    return f"{stem.strip(' .')[:LONGEST_STEM] or 'file'}{dot if kind else ''}{kind}"


def _subject(upload: str) -> str:
    return f"upload {upload}"


def _numbered(plain: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The pieces of a file, each with its place; behind the last comes an empty one, so that none can be missing."""
    number = 0
    while piece := plain.read(PIECE):
        yield number.to_bytes(8), piece
        number += 1
    yield number.to_bytes(8), b""


def _pieces(sealed: BinaryIO, key: Key) -> Iterator[bytes]:
    """What `keep` wrote, piece by piece. Raises NoSuchUpload when it is not whole."""
    number = 0
    while head := sealed.read(8):
        # What was altered may claim any length.
        opened = key.open(sealed.read(min(int.from_bytes(head), 2 * PIECE)))
        place, piece = opened[:8], opened[8:]
        if place != number.to_bytes(8):
            raise NoSuchUpload
        if not piece:
            return
        yield piece
        number += 1
    raise NoSuchUpload


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
