"""A Valkey of the harness' own, which it can kill, empty, stop and start again."""

import shutil
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError

from casehand.queue.valkey import find_server

START_SECONDS = 20.0


class Valkey:
    """One server, with its append-only file in `folder`; its socket lies elsewhere, where the path is short."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = TemporaryDirectory(prefix="valkey-")
        self._socket = Path(self._place.name) / "redis.sock"
        self._binary = find_server()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"unix://{quote(str(self._socket))}"

    def connect(self) -> Redis:
        """A connection to it, for a `with`."""
        return Redis.from_url(self.url)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = "--port 0 --appendonly yes --appendfsync everysec --daemonize no"
        with (self._folder / "log").open("ab") as log:
            command = [str(self._binary), *options.split(), "--save", "", "--dir", "./"]
            command += ["--unixsocket", str(self._socket)]
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        self._wait_until_it_answers()

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._place.cleanup()

    def forget(self) -> None:
        """Throw away what a killed server would read in again."""
        shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)

    def freeze(self) -> None:
        """Let it neither answer nor refuse."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _wait_until_it_answers(self) -> None:
        deadline = monotonic() + START_SECONDS
        pause = Event()
        while True:
            try:
                with self.connect() as connection:
                    connection.ping()
                return
            except RedisError:
                if monotonic() > deadline:
                    raise
            pause.wait(0.02)
