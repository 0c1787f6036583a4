"""Inspection: what is wrong with a workflow or a bot as it is written, each with its file and line.

What is meant so is left out by a comment on the line or the one above it: `by position` for a locator, `no done`
for a commit, `not personal` for a field.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from casehand.bots.bot import Bot
from casehand.workflows.data import PersonalMark
from casehand.workflows.workflow import Workflow


class Fault(StrEnum):
    """What may be found."""

    NO_DONE = "a commit without done"
    NOT_SIGNED_IN = "a bot that cannot tell whether it is signed in"
    NOT_PERSONAL = "a field that looks personal and is not marked"
    POSITION = "a locator that depends on position"


@dataclass(frozen=True, order=True)
class Finding:
    """One thing found."""

    file: str
    line: int
    fault: Fault
    text: str  #: a sentence that says what to do


EXCUSES = {Fault.NO_DONE: "no done", Fault.NOT_PERSONAL: "not personal", Fault.POSITION: "by position"}

OURS = "casehand"
LOCATES = re.compile(r"locator|frame_locator|filter|get_by_\w+")
ORDERED = re.compile(
    r":?nth-(last-)?(child|of-type)|:nth-match\(|:(first|last)-(child|of-type)|>>\s*nth="
    r"|^(xpath=|\(?//|\.\.).*\[\s*(\d+|last\(\))"
)
WHO = """
address applicant bank birth birthday child children claimant client customer dob email ethnicity forename
forenames gender iban landlord mobile name names nationality ni nin nino occupier partner payee person phone
postcode religion resident sex surname telephone tenant title
"""
PERSONAL = frozenset(WHO.split())
"""What a field is called that tells who somebody is."""
NOT_WHO = """
batch column company field file form organisation scheme screen sheet street system team
changed count date from has id is kind number rate reference status type until
"""
IMPERSONAL = frozenset(NOT_WHO.split())
"""What is no person's, or says nothing of who that is."""


def inspect_workflow(workflow: Workflow) -> list[Finding]:
    """What is to be found in the files of a workflow and of the steps it takes from its package, and in its model."""
    sources = {Source.of(one) for one in (workflow.function, *_steps_of(workflow.function))}
    found = [fault for source in sources if source for fault in (*_commits(source), *_positions(source))]
    return sorted({*found, *_fields(workflow)})


def inspect_bot(bot: type[Bot]) -> list[Finding]:
    """What is to be found in the file of a bot, and in those of what it is made from."""
    source = Source.of(bot)
    if source is None:
        return []
    sources = {Source.of(one) for one in bot.__mro__[: bot.__mro__.index(Bot)]}
    found = [fault for one in sources if one for fault in _positions(one)]
    if bot.is_signed_in is Bot.is_signed_in:
        text = f"{bot.__name__} has no is_signed_in: an expired session would not be noticed"
        found.append(Finding(source.name, source.line_of_class(bot.__name__), Fault.NOT_SIGNED_IN, text))
    return sorted(set(found))


@dataclass(frozen=True)
class Source:
    """A file of Python."""

    path: Path

    @classmethod
    def of(cls, what: Any) -> "Source | None":
        """The file in which it stands; None where there is none to be read."""
        try:
            file = inspect.getsourcefile(what)
        except TypeError:
            return None
        return None if file is None or not Path(file).is_file() else cls(Path(file))

    @property
    def name(self) -> str:
        """As it is best opened from here."""
        here = Path.cwd()
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)

    @cached_property
    def tree(self) -> ast.Module:
        """What it says."""
        return ast.parse("\n".join(self.lines))

    @cached_property
    def lines(self) -> list[str]:
        """Its lines."""
        return self.path.read_text(encoding="utf-8").splitlines()

    def line_of_class(self, name: str) -> int:
        """Where a class begins."""
        named = (one for one in ast.walk(self.tree) if isinstance(one, ast.ClassDef) and one.name == name)
        return next((one.lineno for one in named), 1)

    def line_of_field(self, owner: str, field: str) -> int:
        """Where a class declares a field."""
        for one in ast.walk(self.tree):
            if isinstance(one, ast.ClassDef) and one.name == owner:
                for part in one.body:
                    if isinstance(part, ast.AnnAssign) and ast.unparse(part.target) == field:
                        return part.lineno
        return self.line_of_class(owner)

    def excuses(self, fault: Fault, first: int, last: int) -> bool:
        """Whether a comment there says that it is meant so."""
        near = self.lines[max(0, first - 2) : last]
        return any(EXCUSES[fault] in line.partition("#")[2] for line in near)


def _steps_of(function: Any) -> Iterator[Any]:
    """What stands in other modules of the author's own package, and is named where the function stands."""
    package = function.__module__.partition(".")[0]
    for one in vars(inspect.getmodule(function)).values():
        is_code = inspect.isfunction(one) or (inspect.isclass(one) and not issubclass(one, Bot))
        if is_code and package != OURS and one.__module__.partition(".")[0] == package:
            yield one


def _commits(source: Source) -> Iterator[Finding]:
    for call in ast.walk(source.tree):
        match call:
            case ast.Call(func=ast.Attribute(attr="commit"), args=given, keywords=named):
                said = {one.arg: one.value for one in named}
                name, done = [*given, said.get("name"), None][0], [*given[1:], said.get("done")][0]
                knows = None in said or not (done is None or _is_none(done))
                # A database's own commit has no name.
                if name is None or knows:
                    continue
                if not source.excuses(Fault.NO_DONE, call.lineno, call.end_lineno or call.lineno):
                    text = f"{ast.unparse(name)} has no done: after a failure there a person must look"
                    yield Finding(source.name, call.lineno, Fault.NO_DONE, text)


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _positions(source: Source) -> Iterator[Finding]:
    located = set(_located(source.tree))
    for node in ast.walk(source.tree):
        said = _position(node, located) if isinstance(node, ast.expr) else None
        if said is None or not isinstance(node, ast.expr):
            continue
        last = node.end_lineno or node.lineno
        if not source.excuses(Fault.POSITION, node.lineno, last):
            text = f"{said} finds whatever stands there: find it by what a person sees"
            # An attribute stands at the end of the chain that it is of.
            yield Finding(
                source.name, last if isinstance(node, ast.Attribute) else node.lineno, Fault.POSITION, text
            )


def _located(tree: ast.Module) -> Iterator[str]:
    """What is assigned from a call that locates."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
            ) if _is_locator(value, set()):
                yield ast.unparse(target)


def _position(node: ast.expr, located: Set[str]) -> str | None:
    match node:
        case ast.Call(func=ast.Attribute(attr="nth"), args=[_]):
            return "nth()"
        case ast.Attribute(value=value, attr="first" | "last" as attr, ctx=ast.Load()) if _is_locator(
            value, located
        ):
            return attr
        case ast.Subscript(value=ast.Call(func=ast.Attribute(value=value, attr="all"))) if _is_locator(
            value, located
        ):
            return "all()[…]"
        case ast.Call(func=ast.Attribute(attr=attr), args=[ast.Constant(str() as selector), *_]):
            found = ORDERED.search(selector) if LOCATES.fullmatch(attr) else None
            return None if found is None else found[0].strip()
    return None


def _is_locator(value: ast.expr, located: Set[str]) -> bool:
    """Whether it is what a locating call returns, a name for that, or further calls on it."""
    match value:
        case ast.Call(func=ast.Attribute(value=inner, attr=attr)):
            return LOCATES.fullmatch(attr) is not None or _is_locator(inner, located)
        case ast.Attribute(value=inner, attr="first" | "last"):
            return _is_locator(inner, located)
    return ast.unparse(value) in located


def _fields(workflow: Workflow) -> Iterator[Finding]:
    for name, field in workflow.model.model_fields.items():
        is_marked = any(isinstance(mark, PersonalMark) or mark is PersonalMark for mark in field.metadata)
        if is_marked or field.annotation is bool or not looks_personal(name):
            continue
        owner = next(one for one in workflow.model.__mro__ if name in vars(one).get("__annotations__", {}))
        source = Source.of(owner)
        if source is None:
            continue
        line = source.line_of_field(owner.__name__, name)
        if not source.excuses(Fault.NOT_PERSONAL, line, line):
            text = f"{name} of {owner.__name__} looks personal: write Annotated[…, Personal]"
            yield Finding(source.name, line, Fault.NOT_PERSONAL, text)


def looks_personal(name: str) -> bool:
    """Whether a field's name says that it tells who somebody is."""
    words = [word for word in re.split(r"_|(?<=[a-z])(?=[A-Z])", name) if word]
    plain = [word.lower() for word in words]
    if plain[-2:] in (["insurance", "number"], ["insurance", "no"]) or plain[-3:] == ["date", "of", "birth"]:
        return True
    if plain[-2:] in (["account", "number"], ["sort", "code"]):
        return True
    return bool(PERSONAL.intersection(plain)) and not IMPERSONAL.intersection(plain)
