"""`casehand new`: the first lines of a project, a bot or a workflow, each with a test that passes as it stands."""

import ast
import keyword
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Annotated, Any

import typer

from casehand.console.listing import say
from casehand.exceptions import CasehandError
from casehand.workflows.installed import GROUP

LONGEST_NAME = 24
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
TAKEN = frozenset(
    {"casehand", "tests", "bots", "workflows", "stand_in", "conftest", "playwright", "pydantic"}
)
SCAFFOLD = files("casehand.console").joinpath("scaffold")

Files = dict[Path, str]
"""What is to be written where."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    made = typer.Typer(no_args_is_help=True, help="Write the first lines of a project, a bot or a workflow.")
    made.command()(project)
    made.command()(bot)
    made.command()(workflow)
    app.add_typer(made, name="new")


def project(
    name: Annotated[str, typer.Argument(help="Such as our-robots; a folder of that name is made.")],
) -> None:
    """Make a package for your bots and workflows, with its settings and a stand-in to test them at."""
    package = _module(name, "a project")
    folder = Path(name)
    if folder.exists():
        raise CasehandError(f"{folder} is there already: give another name, or remove it")
    own = {"project": name, "package": package}
    written = {
        folder / "pyproject.toml": _filled("pyproject", own),
        folder / "casehand.toml": _filled("casehand"),
        folder / package / "__init__.py": '"""Our bots and workflows for Casehand."""\n',
        folder / package / "py.typed": "",
        folder / package / "bots/__init__.py": "",
        folder / package / "workflows/__init__.py": "",
        folder / "tests/conftest.py": _filled("conftest"),
        folder / "tests/stand_in.py": _filled("stand_in"),
    }
    _write(written)
    say(f"Next: cd {name}, python -m pip install -e '.[dev]', casehand new bot NAME --url URL")


def bot(
    name: Annotated[str, typer.Argument(help="Such as claims: what the settings call the system.")],
    url: Annotated[str, typer.Option(help="The system's address.")],
) -> None:
    """Write a bot for one system, with a test beside it."""
    module = _module(name, "a bot")
    if not re.fullmatch(r"https?://[^/\s\"\\]+(/[^\s\"\\]*)?", url):
        raise CasehandError(f"{url!r} is no address: give one such as https://claims.example/")
    package = Package.here()
    given = {"package": package.name, "module": module, "name": name, "bot": f"{_class(module)}Bot"}
    given["own_imports"] = package.imports(f"bots.{module}", given["bot"])
    written = package.folders("bots") | {
        package.folder / f"bots/{module}.py": _filled("bot", given),
        package.tests / f"test_{module}_bot.py": _filled("bot_test", given),
    }
    _write(written | package.stand_in(), settings=_with_address(package, name, url))
    variable = f"CASEHAND_BOT_{module.upper()}"
    say(f"Its account: set {variable}_USERNAME and {variable}_PASSWORD.")


def workflow(
    name: Annotated[str, typer.Argument(help="Such as rent-change, or housing-benefit/rent-change.")],
    bot: Annotated[str, typer.Option(help="The bot that it works with.")],
) -> None:
    """Write a workflow for one kind of case, with a test beside it."""
    area, _, last = name.rpartition("/")
    module = _module(last, "a workflow")
    package = Package.here()
    found = package.find_bot(bot)
    full = f"{_area(area)}/{last}" if area else f"{package.name.replace('_', '-')}/{last}"
    given = {
        "package": package.name,
        "module": module,
        "name": full,
        "function": module,
        "model": f"{_class(module)}Row",
        "result": f"{_class(module)}Result",
        "bot": found.name,
        "bot_module": found.module,
        "bot_name": bot,
        "title": last.capitalize(),
        "parameter": f"{found.module}_bot" if found.module == module else found.module,
    }
    given["own_imports"] = package.imports(f"workflows.{module}", module)
    kind = "workflow" if found.opens_records else "workflow_other"
    written = package.folders("workflows") | {
        package.folder / f"workflows/{module}.py": _filled(kind, given),
        package.tests / f"test_{module}.py": _filled(f"{kind}_test", given),
    }
    _write(written | package.stand_in())


@dataclass(frozen=True)
class FoundBot:
    """A bot of the package."""

    module: str
    name: str  #: of its class
    opens_records: bool  #: whether it has the screen that a new bot has


@dataclass(frozen=True)
class Package:
    """The author's own package, where the command was typed."""

    root: Path
    name: str
    folder: Path

    @classmethod
    def here(cls) -> "Package":
        """The package whose pyproject.toml is in the working folder. Raises CasehandError when there is none."""
        root = Path()
        try:
            told = tomllib.loads((root / "pyproject.toml").read_text())
        except FileNotFoundError:
            raise CasehandError(
                "there is no pyproject.toml here: make a package with `casehand new project NAME`"
            ) from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise CasehandError(f"pyproject.toml cannot be read ({error}): correct it") from None
        name = _named_package(told)
        for folder in (root / name, root / "src" / name):
            if folder.is_dir():
                return cls(root, name, folder)
        raise CasehandError(f"the package {name} that pyproject.toml names is not here: correct it")

    @property
    def tests(self) -> Path:
        """Where its tests are."""
        return self.root / "tests"

    def imports(self, module: str, what: str) -> str:
        """The lines of a test that import what is tested and the stand-in, in their order."""
        stand_in = ("stand_in", "PASSWORD, USERNAME, StandIn")
        lines = sorted([(f"{self.name}.{module}", what), stand_in])
        return "\n".join(f"from {where} import {names}" for where, names in lines)

    def folders(self, kind: str) -> Files:
        """The empty modules that make a folder of it, where they lack."""
        init = self.folder / kind / "__init__.py"
        return {} if init.exists() else {init: ""}

    def stand_in(self) -> Files:
        """What the tests stand on, where it lacks."""
        wanted = {"conftest.py": "conftest", "stand_in.py": "stand_in"}
        lacking = {name: kind for name, kind in wanted.items() if not (self.tests / name).exists()}
        return {self.tests / name: _filled(kind) for name, kind in lacking.items()}

    def find_bot(self, name: str) -> FoundBot:
        """The bot of that name. Raises CasehandError with those there are."""
        found = dict(self._bots())
        if name in found:
            return found[name]
        there = ", ".join(sorted(found)) or "none yet"
        raise CasehandError(
            f"there is no bot {name!r} in {self.folder / 'bots'} ({there}): casehand new bot {name} --url URL"
        )

    def _bots(self) -> Iterator[tuple[str, FoundBot]]:
        for file in sorted((self.folder / "bots").glob("*.py")):
            try:
                tree = ast.parse(file.read_bytes())
            except SyntaxError as error:
                raise CasehandError(f"{file}, line {error.lineno} cannot be read: correct it") from None
            for one in ast.walk(tree):
                if isinstance(one, ast.ClassDef) and (name := _bot_name(one)):
                    methods = {part.name for part in one.body if isinstance(part, ast.FunctionDef)}
                    yield name, FoundBot(file.stem, one.name, "open_record" in methods)


def _bot_name(one: ast.ClassDef) -> str | None:
    """The `name` that a class gives itself, as every bot does."""
    for part in one.body:
        match part:
            case ast.Assign(targets=[ast.Name("name")], value=ast.Constant(str() as name)):
                return name
            case ast.AnnAssign(target=ast.Name("name"), value=ast.Constant(str() as name)):
                return name
    return None


def _named_package(told: dict[str, Any]) -> str:
    """The package that the entry point leads to."""
    try:
        entries = told["project"]["entry-points"][GROUP]
        return str(next(iter(entries.values()))).partition(":")[0].partition(".")[0]
    except (KeyError, TypeError, AttributeError, StopIteration):
        raise CasehandError(
            f'pyproject.toml has no [project.entry-points."{GROUP}"]: add one with your package, '
            "or make another with `casehand new project NAME`"
        ) from None


def _module(name: str, what: str) -> str:
    """The module for a name. Raises CasehandError when there can be none."""
    module = name.replace("-", "_")
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise CasehandError(
            f"{what} cannot be named {name!r}: use at most {LONGEST_NAME} small letters, figures and hyphens, "
            "a letter first"
        )
    if (
        keyword.iskeyword(module)
        or keyword.issoftkeyword(module)
        or module in TAKEN | sys.stdlib_module_names
    ):
        raise CasehandError(f"{what} cannot be named {name!r}, which means something else in Python")
    return module


def _area(area: str) -> str:
    if not NAME.fullmatch(area) or len(area) > LONGEST_NAME:
        raise CasehandError(f"a workflow cannot be of {area!r}: use small letters, figures and hyphens")
    return area


def _class(module: str) -> str:
    return "".join(part.capitalize() for part in module.split("_"))


def _filled(kind: str, given: Mapping[str, str] = MappingProxyType({})) -> str:
    return Template(SCAFFOLD.joinpath(f"{kind}.txt").read_text(encoding="utf-8")).substitute(given)


def _with_address(package: Package, name: str, url: str) -> tuple[Path, str] | None:
    """What is to be added to the settings, unless they have that bot already."""
    file = package.root / "casehand.toml"
    before = file.read_text() if file.exists() else ""
    try:
        known = tomllib.loads(before).get("bot", {})
    except tomllib.TOMLDecodeError as error:
        raise CasehandError(f"casehand.toml cannot be read ({error}): correct it") from None
    gap = "\n" if before else ""
    return None if name in known else (file, f'{before}{gap}[bot.{name}]\nurl = "{url}"\n')


def _write(written: Files, settings: tuple[Path, str] | None = None) -> None:
    """Write them all, or nothing when one is there already."""
    there = [str(path) for path in written if path.exists()]
    if there:
        raise CasehandError(f"{there[0]} is there already: nothing was written")
    try:
        for path, text in written.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            say(f"written: {path}")
        if settings is not None:
            settings[0].write_text(settings[1], encoding="utf-8")
            say(f"added to: {settings[0]}")
    except OSError as error:
        raise CasehandError(f"{error.filename} cannot be written ({error.strerror})") from None
