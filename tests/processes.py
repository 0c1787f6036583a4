"""The console and workers as processes of their own, for tests that want everything real."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from casehand.console.person import Person
from casehand.console.rights import EVERY, Role
from casehand.console.web.door import as_who
from casehand.queue import sessions
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault
from casehand.settings import PREFIX

CASEHAND = Path(sys.executable).with_name("casehand")
SAME = {"sec-fetch-site": "same-origin"}
SUPERVISOR = Person("s.sample@example.test", "Sam Sample", {EVERY: frozenset({Role.SUPERVISOR})})


@dataclass
class Console:
    """A console of its own process, and its home."""

    home: Path
    url: str
    environment: dict[str, str]
    process: subprocess.Popen[str]

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        ledger = Ledger.open(f"sqlite:///{self.home / 'ledger.db'}", Vault.from_file(self.home / "key"))
        yield ledger
        ledger.close()

    def link(self, person: Person = SUPERVISOR) -> str:
        with self.ledger() as ledger:
            return f"{self.url}/sign-in/link?token={sessions.offer_link(ledger, as_who(person))}"

    @contextmanager
    def client(self) -> Iterator[httpx2.Client]:
        """What sends requests as the supervisor's browser does."""
        with httpx2.Client(base_url=self.url, headers=SAME, timeout=120) as client:
            client.post("/sign-in/link", data={"token": self.link().partition("token=")[2]})
            yield client

    def megabytes(self) -> float:
        """The most memory that it has held so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A worker, until the context ends."""
        command = [CASEHAND, "work", "--workers", "1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env=self.environment, cwd=self.home, **quiet) as process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


@contextmanager
def running(folder: Path, **given: str) -> Iterator[Console]:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    home = folder / "home"
    home.mkdir(mode=0o700)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {f"{PREFIX}HOME": str(home)} | {f"{PREFIX}{name}": value for name, value in given.items()}
    command = [CASEHAND, "console", "--port", str(port)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, env=environment, cwd=folder, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("The pages are at")
            process.stdout.readline()
            yield Console(home, f"http://127.0.0.1:{port}", environment, process)
        finally:
            process.kill()
