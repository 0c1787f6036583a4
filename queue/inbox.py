"""Inboxes: which files lie in a watched folder, and which of them may be taken in now.

Folders are looked at again and again, since one that is mounted from elsewhere tells nobody of its changes.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic

from casehand.exceptions import CasehandError

HELD = ".casehand"
"""The folder in an inbox in which files are while they are taken in, each in a folder of its own."""

HALF_WRITTEN = (".part", ".partial", ".filepart", ".tmp", ".crdownload", ".download")
"""How programs end the name of what they still write or fetch."""

NO_TABLES = ("thumbs.db", "desktop.ini")
"""What file managers leave about."""

Stamp = tuple[int, int]
"""A file's size and when it changed, which tell whether somebody still writes it."""


@dataclass(frozen=True)
class Lying:
    """A file in an inbox that is to be taken in."""

    path: Path
    stamp: Stamp
    is_still: bool  #: nobody has written to it for long enough
    problem: str | None  #: why it cannot be opened

    @property
    def is_ready(self) -> bool:
        """Whether it may be taken in now."""
        return self.is_still and self.problem is None


class Inbox:
    """One folder, and since when each file in it has been as it is."""

    def __init__(self, path: Path, still: timedelta, clock: Callable[[], float] = monotonic) -> None:
        self.path = path
        self._still = still.total_seconds()
        self._clock = clock
        self._seen: dict[Path, tuple[Stamp, float]] = {}

    def look(self) -> list[Lying]:
        """The files as they are now, first what changed first; those begun before, and left, among them.

        Raises CasehandError when the folder cannot be read.
        """
        now = self._clock()
        found = dict(_files(self.path))
        self._seen = {path: self._since(path, stamp, now) for path, stamp in found.items()}
        lying = [
            Lying(path, stamp, now - self._seen[path][1] >= self._still, _problem(path))
            for path, stamp in found.items()
        ]
        return sorted(lying, key=lambda one: (one.stamp[1], os.fsencode(one.path.name)))

    def _since(self, path: Path, stamp: Stamp, now: float) -> tuple[Stamp, float]:
        before = self._seen.get(path)
        return before if before is not None and before[0] == stamp else (stamp, now)


def stamp_of(path: Path) -> Stamp | None:
    """What a file is now; None when it is not there."""
    try:
        found = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def is_meant(name: str) -> bool:
    """Whether a file of this name is there to be taken in."""
    plain = name.casefold()
    hidden = plain.startswith((".", "~$"))
    return not hidden and not plain.endswith(HALF_WRITTEN) and plain not in NO_TABLES


def held(inbox: Path) -> list[Path]:
    """The folders of the files that somebody has begun to take in."""
    return sorted(_within(inbox / HELD))


def _files(inbox: Path) -> Iterator[tuple[Path, Stamp]]:
    """Ordinary files only: whatever a link points to is not the folder's to give away."""
    try:
        names = os.listdir(inbox)  # noqa: PTH208 - names alone: each entry of a mounted folder may vanish
    except OSError as error:
        raise CasehandError(
            f"the folder {inbox} cannot be read ({error.strerror}): see that it is there"
        ) from None
    paths = [inbox / name for name in names if is_meant(name)]
    paths += [path for place in held(inbox) for path in _within(place) if not path.name.startswith(".")]
    for path in paths:
        with suppress(OSError):
            found = path.stat(follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                yield path, (found.st_size, found.st_mtime_ns)


def _problem(path: Path) -> str | None:
    """Whoever writes a file may keep others from reading it meanwhile."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
    except OSError as error:
        return f"it cannot be opened ({error.strerror})"
    return None


def _within(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
