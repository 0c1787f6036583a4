"""The tutorial, followed to the letter: every file written and every command run, in order, in an empty folder."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from casehand.fixtures.practice.filing import read_journal
from casehand.settings import PREFIX

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"
PORT = "8124"
SECONDS = 600
WORKED = (0, 3)
"""3 says that something needs a person."""


@dataclass(frozen=True)
class Block:
    """A block of the page, and what stands before it."""

    language: str
    text: str
    before: str


@dataclass
class Reader:
    """Follows the page in an empty folder."""

    folder: Path
    port: str
    environment: dict[str, str]
    running: list["subprocess.Popen[str]"] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        text = block.text.replace(PORT, self.port)
        if block.language != "console":
            self._write(block, text)
            return
        for command, shown in _commands(text):
            if "in a terminal of its own" in block.before:
                self._start(command, shown)
            else:
                self._run(command, shown)

    def _write(self, block: Block, text: str) -> None:
        (name,) = re.findall(r"`([\w/.]+\.\w+)`:$", block.before)
        file = self.place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def _start(self, command: str, shown: list[str]) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        assert process.stdout is not None
        for line in shown:
            assert process.stdout.readline().strip() == line

    def _run(self, command: str, shown: list[str]) -> None:
        ran = subprocess.run(
            [
                "bash",
                "-c",
                f"{command}\ncode=$?; export -p > {self.kept}; pwd > {self.kept}.place; exit $code",
            ],
            cwd=self.place,
            env={**self.environment, "BASH_ENV": str(self.kept)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        said = ran.stdout + ran.stderr
        assert ran.returncode in WORKED, f"{command}\n{said}"
        for line in shown:
            pattern = ".*".join(map(re.escape, line.split("…")))
            assert re.search(pattern, said), f"{command}\ndid not show: {line}\nbut: {said}"

    @property
    def kept(self) -> Path:
        """What one command leaves to the next: its environment, and beside it where it stood."""
        return self.folder.with_name("kept")

    @property
    def place(self) -> Path:
        """The folder in which one stands."""
        where = self.kept.with_name("kept.place")
        return Path(where.read_text().strip()) if where.exists() else self.folder

    def stop(self) -> None:
        for process in self.running:
            # Leaving the block closes what it said, and waits for its end.
            with process:
                process.terminate()


def blocks() -> Iterator[Block]:
    """Every block of the page, with the paragraph before it."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        before = PAGE.read_text()[: match.start()].rstrip().rpartition("\n\n")[2]
        yield Block(match[1], match[2], before)


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines that it shows."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        yield command, [line.strip() for line in shown if line.strip()]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    folder = tmp_path / "empty"
    folder.mkdir()
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port = str(opened.getsockname()[1])
    given = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "PYTEST"))}
    programs = str(Path(sys.executable).parent)
    reader = Reader(
        folder, port, {**given, "PATH": f"{programs}{os.pathsep}{given['PATH']}", "COLUMNS": "200"}
    )
    reader.environment.pop("PYTHONPATH", None)
    yield reader
    reader.stop()


@pytest.mark.timeout(SECONDS + 60)
def test_the_tutorial_can_be_followed(reader: Reader) -> None:
    followed = list(blocks())
    assert len(followed) > 10
    for block in followed:
        reader.follow(block)
    # By the practice system's own journal, whatever the page says; two workers are in no order.
    made = [(entry.reference, entry.kind) for entry in read_journal(reader.folder / "practice")]
    assert sorted(made) == [("70010002", "note"), ("70010004", "note")]
