"""Without the samples: the framework imports, and works a case of a package from outside it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_house import PACKAGE, SAMPLES

from casehand.settings import PREFIX

METADATA = "Metadata-Version: 2.1\nName: casehand\nVersion: 0.0.1\n"
ENTRY_POINTS = "[pytest11]\ncasehand = casehand.testing_plugin\n"
IMPORT_ALL = """
import importlib, pkgutil, casehand
print(casehand.__file__)
names = [one.name for one in pkgutil.walk_packages(casehand.__path__, "casehand.")]
for name in names:
    if ".migrations" not in name and "__main__" not in name:
        importlib.import_module(name)
print(len(names), "modules")
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as it is installed, but for the samples."""
    site = tmp_path_factory.mktemp("bare")
    shutil.copytree(PACKAGE, site / "casehand", ignore=shutil.ignore_patterns("__pycache__"))
    for sample in SAMPLES:
        path = site / sample.replace(".", "/")
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.with_suffix(".py").unlink()
    told = site / "casehand-0.0.1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(METADATA)
    (told / "entry_points.txt").write_text(ENTRY_POINTS)
    return site


def run(bare: Path, folder: Path, *arguments: str, code: int = 0) -> str:
    """Run Python with that package, and without any setting."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": f"{bare}{os.pathsep}{folder}", "PYTHONSAFEPATH": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code, (arguments, ran.stdout, ran.stderr)
    return ran.stdout + ran.stderr


def test_every_module_imports_without_the_samples(bare: Path, tmp_path: Path) -> None:
    told = run(bare, tmp_path, "-c", IMPORT_ALL)
    assert told.startswith(str(bare))
    assert int(told.splitlines()[-1].split()[0]) > 100


@pytest.mark.timeout(240)
def test_a_package_from_outside_is_worked_without_the_samples(bare: Path, tmp_path: Path) -> None:
    casehand = ("-m", "casehand.console.cli")
    run(bare, tmp_path, *casehand, "new", "project", "outside")
    project = tmp_path / "outside"
    run(bare, project, *casehand, "new", "bot", "claims", "--url", "https://claims.example/")
    run(bare, project, *casehand, "new", "workflow", "outside/note", "--bot", "claims")
    (project / "casehand.toml").write_text('workflows = "outside"\n')
    told = run(bare, project, *casehand, "workflows")
    assert "outside/note" in told
    assert "rent-change" not in told
    passed = run(
        bare,
        project,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        "tests/test_note.py",
        "-k",
        "not whatever",
    )
    assert "3 passed" in passed
    assert "the samples are not installed" in run(bare, project, *casehand, "demo", code=1)
