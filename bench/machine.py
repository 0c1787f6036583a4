"""What the figures were measured with: the machine's kind and the versions, nothing that names it."""

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from bench.subjects import PEERS, ROOT
from casehand.bots.chromium import find_browser
from casehand.queue.valkey import find_server
from casehand.settings import PREFIX

OURS = ("casehand", "playwright", "rq", "redis", "sqlalchemy")


def describe() -> Iterator[str]:
    """Lines of Markdown."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    yield f"- {os.cpu_count()} cores ({_processor()}), {memory:.0f} GB, {platform.system()} {_kernel()}"
    yield f"- load when it began: {os.getloadavg()[0]:.1f} (anything above 0.5 is somebody else's work)"
    yield f"- Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in OURS)}"
    yield f"- {_says(str(find_browser(os.environ.get(f'{PREFIX}BROWSER'))))}; {_server()}"
    yield f"- peers: {', '.join(_peers())}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _kernel() -> str:
    return ".".join(platform.release().split("-")[0].split(".")[:2])


def _says(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()


def _server() -> str:
    words = _says(str(find_server())).split()
    return f"Valkey {next((word[2:] for word in words if word.startswith('v=')), '')}"


def _peers() -> Iterator[str]:
    if not PEERS.exists():
        yield "not installed"
        return
    for line in (ROOT / "bench" / "requirements.txt").read_text().splitlines():
        if "==" in line:
            yield line.replace("==", " ")
