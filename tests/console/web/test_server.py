"""`casehand console` as a process: where it listens, how one signs in, how it stops."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

CASEHAND = Path(sys.executable).with_name("casehand")
LINK = re.compile(r"http://\S+/sign-in/link\?token=\S+")
SAME = {"sec-fetch-site": "same-origin"}


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The console, and the two lines that it says first."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [CASEHAND, "console", *arguments], cwd=tmp_path, env=os.environ, **pipes
    ) as process:
        try:
            assert process.stdout is not None
            yield process, [process.stdout.readline(), process.stdout.readline()]
        finally:
            process.kill()


def run(tmp_path: Path, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    environment = {**os.environ, **{f"CASEHAND_CONSOLE_{name}": value for name, value in given.items()}}
    return subprocess.run(
        [CASEHAND, "console", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_prints_a_link_that_signs_the_machines_user_in_and_another_when_asked(tmp_path: Path) -> None:
    port = str(free_port())
    with running(tmp_path, "--port", port) as (process, said):
        assert f"http://127.0.0.1:{port}/" in said[0]
        first = LINK.search(said[1])
        assert first is not None
        (second,) = LINK.findall(run(tmp_path, "--port", port, "--link").stdout)
        for link in (first.group(), second):
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
                token = link.partition("token=")[2]
                client.post("/sign-in/link", data={"token": token}, headers=SAME)
                assert "Signed in as" in client.get("/").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_it_stops_at_once_though_a_page_is_told_of_changes(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "--port", str(port)) as (process, said):
        token = said[1].partition("token=")[2].strip()
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
            client.post("/sign-in/link", data={"token": token}, headers=SAME)
            with client.stream("GET", "/events") as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                process.send_signal(signal.SIGTERM)
                assert process.wait(4) == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "casehand.example.test"])  # noqa: S104
def test_without_openid_connect_it_listens_on_this_machine_only(tmp_path: Path, host: str) -> None:
    ran = run(tmp_path, "--host", host)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr.startswith("casehand: without OpenID Connect the pages are for this machine only")
    assert ran.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        ran = run(tmp_path, "--port", str(taken.getsockname()[1]))
    assert ran.returncode == 1
    assert "give another --port" in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"IDLE_MINUTES": "none"}, "CASEHAND_CONSOLE_IDLE_MINUTES is wrong"),
        ({"ROLES": "{"}, "CASEHAND_CONSOLE_ROLES is no JSON"),
        ({"COLOUR": "blue"}, "CASEHAND_CONSOLE_COLOUR is wrong"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, given: dict[str, str], told: str) -> None:
    ran = run(tmp_path, **given)
    assert ran.returncode == 1
    assert told in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_the_file_of_settings_has_a_part_for_it(tmp_path: Path) -> None:
    (tmp_path / "casehand.toml").write_text(
        '[console]\nport = 70000\n[console.roles.staff]\n"*" = ["viewer"]\n'
    )
    assert "CASEHAND_CONSOLE_PORT is wrong" in run(tmp_path).stderr
