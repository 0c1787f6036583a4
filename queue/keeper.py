"""The keeper of the embedded Valkey: starts the server, waits until nobody needs it, and stops it.

It is run as a file of its own by `python -I -S`, so that it starts fast and holds little memory, and
therefore imports nothing but the standard library.
"""

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MEMBERS_LOCK = "members.lock"
KEEPER_LOCK = "keeper.lock"
LOG = "valkey.log"
READY = "ready"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
SET_PARENT_DEATH_SIGNAL = 1
BROKEN_DATA = "appendonlydir.broken"
DATA = "appendonlydir"
_WATCHED = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})


class Refused(Exception):
    """What stands in the way, in one line for people."""


class Ended(Exception):
    """A signal came: the server has ended, or the keeper is to."""


def keep(directory: Path, address: Path, binary: Path) -> None:
    """Run the server until no member is left; tell the starter on standard output how the start went."""
    guard = open_lock(directory / KEEPER_LOCK)
    if not take_lock(guard, fcntl.LOCK_EX, START_SECONDS):
        raise Refused("another keeper holds it and does not let go")
    _end_orphan(address)
    private_directory(address.parent)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    server = _start(directory, address, binary)
    mark = _identity(address)
    _report(READY)
    try:
        _wait_for_the_last_member(directory)
    finally:
        _stop(server)
        _clear(directory, address, mark)


def answers(address: Path) -> bool:
    """Whether a server answers at the socket and has its data read in."""
    return _ask(address, b"PING\r\n").startswith(b"+PONG")


def private_directory(path: Path) -> None:
    """Make a directory of mode 0700, or see that the one there is ours and closed to others.

    Raises Refused when it is somebody else's, a link, or one that others may write to.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise Refused(f"{path} is not a directory: remove it")
    if found.st_uid != os.geteuid():
        raise Refused(f"{path} belongs to user {found.st_uid}: run Casehand as that user, or remove it")
    if found.st_mode & 0o022:
        raise Refused(f"others can write to {path}: remove it, or run `chmod 700 '{path}'`")
    if found.st_mode & 0o077:
        path.chmod(0o700)


def open_lock(path: Path) -> int:
    """Open a lock file, which no program started from here inherits; return its descriptor."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def take_lock(descriptor: int, how: int, seconds: float) -> bool:
    """Take a lock, `LOCK_SH` or `LOCK_EX`, waiting so many seconds at most."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)  # noqa: TID251 - flock has no time limit of its own


def _end_orphan(address: Path) -> None:
    """End a server whose keeper was killed where the kernel has no parent-death signal."""
    deadline = time.monotonic() + STOP_SECONDS
    while answers(address):
        if time.monotonic() >= deadline:
            raise Refused(f"a server without a keeper answers at {address} and does not stop: end it")
        _ask(address, b"SHUTDOWN NOSAVE FORCE\r\n")
    address.unlink(missing_ok=True)


def _start(directory: Path, address: Path, binary: Path) -> subprocess.Popen[bytes]:
    """Start the server and wait until it answers; where its data is unreadable, start it without."""
    os.chdir(directory)
    server = _spawn(address, binary)
    reason = _wait_until_it_answers(server, address)
    if reason and _data_is_broken():
        # The ledger is the truth: what was in the queue is handed to it again by the reconciler.
        _set_data_aside()
        server = _spawn(address, binary)
        reason = _wait_until_it_answers(server, address)
    if reason:
        _stop(server)
        raise Refused(reason)
    return server


def _spawn(address: Path, binary: Path) -> subprocess.Popen[bytes]:
    """Start the server, which dies with this process."""
    # Paths relative to the working directory: the server's own parser breaks the rest at blanks.
    place = address.name if address.parent == Path.cwd() else str(address)
    with Path(LOG).open("wb") as log:
        return subprocess.Popen(
            [
                str(binary),
                *("--port", "0", "--unixsocket", place, "--unixsocketperm", "700", "--dir", "./"),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                *("--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "notice"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_bind_to(os.getpid()),
        )


def _bind_to(keeper: int) -> Callable[[], object]:
    # Loaded before the fork: the child of a fork does as little as it can.
    if not sys.platform.startswith("linux"):
        return lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    import ctypes

    library = ctypes.CDLL(None)

    def prepare() -> object:
        # SIGKILL loses nothing: what was answered has been written to the append-only file.
        library.prctl(SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
        if os.getppid() != keeper:
            os._exit(1)
        return signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)

    return prepare


def _wait_until_it_answers(server: subprocess.Popen[bytes], address: Path) -> str:
    """Wait for the server; return why it did not start, or nothing."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if answers(address):
            return ""
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.01)
            return _last_line(LOG)
    return f"it did not answer within {START_SECONDS:.0f} seconds"


def _last_line(log: str) -> str:
    lines = Path(log).read_text(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else "it ended and said nothing"


def _data_is_broken() -> bool:
    said = Path(LOG).read_text(errors="replace").lower()
    return Path(DATA).is_dir() and ("append only file" in said or "aof" in said)


def _set_data_aside() -> None:
    broken = Path(BROKEN_DATA)
    if broken.is_dir():
        for old in broken.iterdir():
            old.unlink()
        broken.rmdir()
    Path(DATA).rename(broken)


def _identity(address: Path) -> tuple[int, int]:
    found = address.stat()
    return found.st_dev, found.st_ino


def _report(line: str) -> None:
    """Tell the starter, who may be gone, and let go of its pipe."""
    with suppress(BrokenPipeError):
        os.write(1, f"{line}\n".encode())
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _wait_for_the_last_member(directory: Path) -> None:
    """Sleep until all members have let go, the server has ended, or somebody ends the keeper."""
    members = open_lock(directory / MEMBERS_LOCK)
    for watched in _WATCHED:
        signal.signal(watched, _wake)
    with suppress(Ended):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        # Held until this process ends: who joins meanwhile waits for that.
        fcntl.flock(members, fcntl.LOCK_EX)
    for watched in _WATCHED:
        signal.signal(watched, signal.SIG_DFL if watched == signal.SIGCHLD else signal.SIG_IGN)


def _wake(_number: int, _frame: object) -> None:
    raise Ended


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server in good order, or by force when it does not."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _clear(directory: Path, address: Path, mark: tuple[int, int]) -> None:
    """Remove the socket, unless another server has put its own there, and its directory below /tmp."""
    with suppress(FileNotFoundError):
        if _identity(address) == mark:
            address.unlink()
    if address.parent != directory:
        with suppress(OSError):
            address.parent.rmdir()


def _ask(address: Path, command: bytes) -> bytes:
    """Send one command and return the beginning of the answer, or nothing where nobody answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2.0)
        try:
            connection.connect(str(address))
            connection.sendall(command)
            return connection.recv(64)
        except OSError:
            return b""


def main(arguments: list[str]) -> None:
    """Leave the starter's session and keep the server; arguments: directory, socket, binary."""
    if os.fork():
        # The starter must not be left with a child to reap.
        os._exit(0)
    os.setsid()
    os.umask(0o077)
    # Whoever started us may ignore it, and that is inherited: then no end of the server would be seen.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    directory, address, binary = (Path(argument) for argument in arguments)
    try:
        keep(directory, address, binary)
    except (Refused, OSError) as refusal:
        _report(str(refusal))


if __name__ == "__main__":
    main(sys.argv[1:])
