"""The rules of the house: where things stand, what they are called, and who may know of whom."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/casehand"
LINKED = ("bots", "workflows", "queue", "console", "fixtures", "worker.py")
SAMPLES = (
    "casehand.fixtures",
    *(f"casehand.bots.{name}" for name in ("benefits", "council_tax", "services")),
    *(f"casehand.workflows.{name}" for name in ("rent_change", "stop_notice", "move", "debt", "new_starter")),
)
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

FORBIDDEN = {
    "casehand.queue": (
        "casehand.bots",
        "casehand.workflows",
        "casehand.worker",
        "casehand.console",
        "playwright",
    ),
    "casehand.bots": ("casehand.queue", "casehand.workflows", "casehand.worker", "casehand.console"),
    "casehand.workflows": ("casehand.worker", "casehand.console"),
    "casehand.worker": ("casehand.console",),
    "casehand.settings": ("casehand.bots", "casehand.workflows", "casehand.worker", "casehand.console"),
    "casehand.schedule": ("casehand.bots", "casehand.workflows", "casehand.worker", "casehand.console"),
    "casehand.testing": ("casehand.worker", "casehand.console", "rq", "redis"),
    "casehand.testing_plugin": ("casehand.worker", "casehand.console", "rq", "redis"),
    "casehand.tell": ("casehand.bots", "casehand.workflows", "casehand.worker", "casehand.console"),
    "casehand.logs": ("casehand.bots", "casehand.workflows", "casehand.worker", "casehand.console"),
}
"""Dependencies point one way: worker and console, workflows, bots and queue."""


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package, by the name it is imported by."""
    for file in sorted(PACKAGE.glob("*.py")):
        yield "casehand" if file.stem == "__init__" else f"casehand.{file.stem}", file
    for folder in (*LINKED, "src/casehand/testing"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(PACKAGE if folder.startswith("src/") else ROOT).with_suffix("").parts
            yield ".".join(("casehand", *(part for part in parts if part != "__init__"))), file


def imports(file: Path, module: str) -> set[str]:
    """Every name that a file imports, wherever in it, in full."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def is_in(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


def is_sample(module: str) -> bool:
    return any(is_in(module, sample) for sample in SAMPLES)


def in_the_repository() -> Iterator[Path]:
    """What git holds or would take in, or all that is there where git is not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    yield from (Path(name) for name in listed.stdout.split("\0") if name)


def test_queue_has_no_init_file() -> None:
    assert not (ROOT / "queue/__init__.py").exists()


def test_the_standard_librarys_queue_is_what_python_started_in_the_root_gets() -> None:
    program = "import queue; queue.Queue; print(queue.__file__)"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert Path(told.stdout.strip()).parent == Path(ast.__file__).parent


@pytest.mark.parametrize("name", LINKED)
def test_a_folder_of_the_root_is_linked_into_the_package(name: str) -> None:
    link = PACKAGE / name
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == (ROOT / name).resolve()
    assert link.exists()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_no_file_has_a_name_that_says_nothing() -> None:
    vague = [path for path in in_the_repository() if VAGUE_NAMES & {Path(part).stem for part in path.parts}]
    assert not vague


@pytest.mark.parametrize("place", FORBIDDEN)
def test_dependencies_point_one_way(place: str) -> None:
    wrong = [
        f"{module} imports {name}"
        for module, file in modules()
        if is_in(module, place) and not is_sample(module)
        for name in sorted(imports(file, module))
        if any(is_in(name, forbidden) for forbidden in FORBIDDEN[place])
    ]
    assert not wrong


def test_nothing_but_the_samples_imports_the_samples() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, file in modules()
        if not is_sample(module)
        for name in sorted(imports(file, module))
        if is_sample(name)
    ]
    assert not wrong


def test_nothing_but_the_console_and_the_demonstration_imports_the_console() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, file in modules()
        if not is_in(module, "casehand.console") and not is_in(module, "casehand.fixtures")
        for name in sorted(imports(file, module))
        if is_in(name, "casehand.console")
    ]
    assert not wrong


def test_nobody_imports_the_folders_of_the_root_beside_the_package() -> None:
    """A `bots.base.Bot` would be a second class beside `casehand.bots.base.Bot`."""
    tests = ((file.stem, file) for file in (ROOT / "tests").rglob("*.py"))
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for module, file in (*modules(), *tests)
        for name in sorted(imports(file, module))
        if name.partition(".")[0] in ("bots", "workflows", "console", "fixtures")
    ]
    assert not wrong


def test_the_workers_parent_does_not_import_playwright() -> None:
    program = (
        "import sys, casehand.worker; print(sorted(name for name in sys.modules if 'playwright' in name))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"


def _base(node: ast.ImportFrom, package: str) -> str:
    """What a `from … import` names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])
