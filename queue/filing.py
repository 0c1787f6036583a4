"""Filing: a file is held in a folder of its own while it is taken in, and then put away, with what is said of it.

Each step is one rename, and each can be done again: whoever is killed in between leaves nothing that the next
does not find. Nothing that is there already is written over.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from casehand.exceptions import CasehandError, NotNow
from casehand.queue.inbox import HELD, Lying, held, stamp_of

LONGEST = 200
"""Bytes of a name: 255 is what a folder takes, and a report's is longer than its file's."""

REPORT = ".report.txt"
_GOES_TO = ".goes-to"
_DRAFT = ".draft"

Beside = Mapping[str, Callable[[BinaryIO], None]]
"""What is put beside a file: endings of names, and what writes each."""


def hold(lying: Lying, inbox: Path, new_id: str) -> Path | None:
    """Take a file out of the inbox, so that nobody writes over it; where it is then.

    None when it went, or changed even now: then it is looked at again where it is. Raises NotNow when somebody else
    keeps it from being moved, and CasehandError when nothing can be written to the inbox.
    """
    if lying.path.parent != inbox:
        return lying.path
    place = inbox / HELD / new_id
    path = place / lying.path.name
    try:
        # Never the inbox itself: it may be a mount that has gone.
        place.parent.mkdir(exist_ok=True)
        place.mkdir()
    except OSError as error:
        raise CasehandError(f"{inbox} cannot be written to ({error.strerror}): see that it can") from None
    try:
        lying.path.rename(path)
    except FileNotFoundError:
        # Another has it, or its sender took it back.
        clear(place)
        return None
    except OSError as error:
        clear(place)
        raise NotNow(f"{lying.path.name} cannot be moved ({error.strerror})") from None
    return path if stamp_of(path) == lying.stamp else None


def put_away(path: Path, folder: Path, beside: Beside) -> Path | None:
    """Move a file that is held to a folder, with what is said of it beside it; where it is then.

    None when another did so meanwhile. Raises CasehandError when the folder cannot be written to.
    """
    target = None
    try:
        _make(folder, like=path.parent.parent.parent)
        mode = path.stat().st_mode & 0o666
        target = _reserved(path, folder, beside)
        for ending, write in beside.items():
            _write_beside(path.parent, _beside(target, ending), mode, write)
        path.replace(target)
    except FileNotFoundError:
        _let_go(target)
        return None
    except OSError as error:
        raise CasehandError(f"{folder} cannot be written to ({error.strerror}): see that it can") from None
    clear(path.parent)
    return target


def clear_left(inbox: Path) -> None:
    """Take away what whoever was killed left behind of files that are put away."""
    for place in held(inbox):
        with suppress(OSError):
            if all(one.name.startswith(".") for one in place.iterdir()):
                clear(place)


def clear(place: Path) -> None:
    """Take away the folder of a file that is no longer in it."""
    with suppress(OSError):
        for name in (_DRAFT, _GOES_TO):
            (place / name).unlink(missing_ok=True)
        # Not with what may be in it: another may just have put a file there.
        place.rmdir()


def _make(folder: Path, like: Path) -> None:
    """Make a folder, for whoever may go into that other one."""
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        _open_to(folder, like.stat().st_mode & 0o7777)


def _open_to(path: Path, mode: int) -> None:
    # Where a folder is mounted from elsewhere, rights may be its server's alone to give.
    with suppress(OSError):
        path.chmod(mode)


def _reserved(path: Path, folder: Path, beside: Beside) -> Path:
    """The name that a file goes to, kept free by an empty file, and written down first, in case we are killed."""
    before = _goes_to(path.parent)
    if before is not None and before.parent != folder:
        _let_go(before)
        before = None
    for target in _targets(path.name, folder, before):
        ours = target == before
        names = (target, *(_beside(target, ending) for ending in (REPORT, *beside)))
        if not ours and any(map(os.path.lexists, names)):
            continue
        _write_down(path.parent, target)
        if _keep_free(target) or (ours and _is_empty(target)):
            return target
    raise AssertionError("numbers do not run out")


def _targets(name: str, folder: Path, before: Path | None) -> Iterator[Path]:
    if before is not None:
        yield before
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - of a name alone
    while stem[1:] and len(os.fsencode(stem + ending)) > LONGEST:
        stem = stem[:-1]
    yield folder / f"{stem}{ending}"
    yield from (folder / f"{stem}-{number}{ending}" for number in count(2))


def _keep_free(target: Path) -> bool:
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True


def _is_empty(target: Path) -> bool:
    found = stamp_of(target)
    return found is not None and found[0] == 0


def _let_go(target: Path | None) -> None:
    """Nothing comes to a name that was kept free."""
    with suppress(OSError):
        if target is not None and _is_empty(target):
            target.unlink()


def _write_beside(place: Path, target: Path, mode: int, write: Callable[[BinaryIO], None]) -> None:
    draft = place / _DRAFT
    with _private(draft) as file:
        write(file)
    # Whoever may read the file is to read what is said of it.
    _open_to(draft, mode)
    draft.replace(target)


def _private(draft: Path) -> BinaryIO:
    """A file to write, which nobody else may read: it may have rows in it, and be left by whoever is killed."""
    return open(draft, "wb", opener=lambda path, flags: os.open(path, flags, 0o600))


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f"{os.path.splitext(target.name)[0]}{ending}")  # noqa: PTH122 - of a name alone


def _goes_to(place: Path) -> Path | None:
    try:
        return Path(os.fsdecode((place / _GOES_TO).read_bytes()))
    except OSError:
        return None


def _write_down(place: Path, target: Path) -> None:
    draft = place / _DRAFT
    with _private(draft) as file:
        file.write(os.fsencode(target))
    draft.replace(place / _GOES_TO)
