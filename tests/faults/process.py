"""Processes as /proc shows them."""

import contextlib
import os
import signal
from pathlib import Path

PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found: list[int] = []
    for listed in PROC.glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            found += map(int, listed.read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """All that a process has started, and what those have started."""
    found = children(pid)
    for child in list(found):
        found += descendants(child)
    return found


def command(pid: int) -> str:
    """How a process was called; nothing when it has gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Whether it is there and more than a zombie."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def leads_a_group(pid: int) -> bool:
    """Whether it is the first of its process group, as a horse is."""
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def send(how: signal.Signals, *pids: int) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
