"""The wheel carries all that `casehand demo` needs, and the demonstration runs from it, outside the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
PREFIX = "CASEHAND_"
DEMO_SECONDS = 170


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("copy") / "casehand"
    _copy_checkout(copy)
    _run([sys.executable, "-m", "build", "--wheel", "--outdir", str(copy.parent / "wheel")], cwd=copy)
    (built,) = (copy.parent / "wheel").glob("casehand-*.whl")
    return built


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """The programs of an empty environment with the wheel, and beside it what it stands on."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin/python"
    packages = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    _run([*install, "--disable-pip-version-check", "--no-index", str(wheel)], cwd=tmp_path)
    _lay_dependencies_beside(Path(packages))
    return place / "bin"


def test_the_wheel_holds_every_module_and_every_file_that_is_read(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = {str(path) for path in _to_be_carried()}
    assert wanted, "nothing was looked for"
    assert not wanted - held


def test_the_wheel_holds_the_sample_batch_the_migrations_and_the_pages_of_the_practice_system(
    wheel: Path,
) -> None:
    with ZipFile(wheel) as archive:
        held = archive.namelist()
    assert "casehand/fixtures/batches/rent_changes.csv" in held
    assert any(name.startswith("casehand/queue/migrations/versions/") for name in held)
    assert any(name.startswith("casehand/fixtures/practice/") and name.endswith(".html") for name in held)


def test_the_wheel_puts_nothing_beside_the_package(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"casehand"}


@pytest.mark.timeout(2 * DEMO_SECONDS)
def test_the_demonstration_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    where = _run(
        [str(installed / "python"), "-c", "import casehand.queue.keeper as k; print(k.__file__)"], cwd=place
    )
    assert Path(where.strip()).is_relative_to(installed.parent)
    told = _run([str(installed / "casehand"), "demo"], cwd=place)
    assert "journal agrees" in told
    assert {path.name for path in place.iterdir()} == {".casehand"}


def _copy_checkout(copy: Path) -> None:
    """Copy what git holds or would take in, links as links."""
    listed = _run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, copy / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _to_be_carried() -> list[Path]:
    """Every file of the linked folders that Python imports or the code reads, by its name in the wheel."""
    read = {".py", ".csv", ".xlsx", ".html", ".css", ".js", ".svg", ".json", ".txt", ".mako"}
    listed = _run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT)
    found = [
        Path(name) for name in listed.split("\0") if Path(name).suffix in read and (ROOT / name).is_file()
    ]
    folders = {link.name for link in (ROOT / "src/casehand").iterdir() if link.is_symlink()}
    return [Path("casehand") / path for path in found if path.parts[0] in folders]


def _lay_dependencies_beside(packages: Path) -> None:
    """Lend the environment the packages of this one, all but Casehand itself.

    Its own come first, and the .pth files of this one, which lead to the checkout, are not read there.
    """
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "lent.pth").write_text("".join(f"{path}\n" for path in sorted(here)))


def _run(command: list[str], cwd: Path) -> str:
    """Run a command with none of Casehand's settings and none of this run's import paths."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) and name not in ("PYTHONPATH", "PYTHONHOME")
    }
    ran = subprocess.run(
        command, cwd=cwd, env=kept, capture_output=True, text=True, check=False, timeout=DEMO_SECONDS
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout
