"""Which workflows are installed: found by entry point, or named in CASEHAND_WORKFLOWS."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from types import ModuleType
from typing import TypeVar

from casehand.bots.bot import Bot
from casehand.exceptions import CasehandError
from casehand.workflows.producer import Producer
from casehand.workflows.workflow import Workflow

GROUP = "casehand.workflows"

Named = TypeVar("Named", Workflow, Producer)


def installed_workflows(named: str = "") -> dict[str, Workflow]:
    """Every workflow by its name; `named` is what CASEHAND_WORKFLOWS says: modules or packages, by comma.

    Raises CasehandError when a module cannot be imported or two workflows have one name.
    """
    return _installed(named, Workflow, "workflows")


def installed_producers(named: str = "") -> dict[str, Producer]:
    """Every producer by its name, found where the workflows are. Raises CasehandError as `installed_workflows`."""
    return _installed(named, Producer, "producers")


def find_workflow(installed: Mapping[str, Workflow], name: str) -> Workflow:
    """The workflow of that name. Raises CasehandError with the nearest names."""
    return _find(installed, name, "workflow")


def find_producer(installed: Mapping[str, Producer], name: str) -> Producer:
    """The producer of that name. Raises CasehandError with the nearest names."""
    return _find(installed, name, "producer")


def needed_bots(workflows: Iterable[Workflow | Producer]) -> dict[str, type[Bot]]:
    """Every bot that these need, by its name. Raises CasehandError when two have one name."""
    return _by_name(bot for workflow in workflows for bot in workflow.bots.values())


def installed_bots(named: str = "") -> dict[str, type[Bot]]:
    """Every bot that stands in an installed module, though no workflow may need it yet, by its name.

    Raises CasehandError as `installed_workflows`.
    """
    return _by_name(
        one
        for module in _modules(named)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Bot) and "name" in vars(one)
    )


def _by_name(bots: Iterable[type[Bot]]) -> dict[str, type[Bot]]:
    found: dict[str, type[Bot]] = {}
    for bot in bots:
        if found.setdefault(bot.name, bot) is not bot:
            raise CasehandError(f"two bots are named {bot.name}: rename one of them")
    return found


def _find(installed: Mapping[str, Named], name: str, what: str) -> Named:
    if name in installed:
        return installed[name]
    near = difflib.get_close_matches(name, installed, n=3, cutoff=0.4) or sorted(installed)[:3]
    hint = f"did you mean {' or '.join(near)}?" if near else "install one, or set CASEHAND_WORKFLOWS"
    raise CasehandError(f"there is no {what} {name!r}: {hint}")


def _installed(named: str, kind: type[Named], what: str) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for module in _modules(named):
        for one in (value for value in vars(module).values() if isinstance(value, kind)):
            if found.setdefault(one.name, one) is not one:
                raise CasehandError(f"two {what} are named {one.name}: rename one of them")
    return found


def _modules(named: str) -> Iterator[ModuleType]:
    for entry in entry_points(group=GROUP):
        yield from _import(entry.value, f"the entry point {entry.name}")
    for name in filter(None, (part.strip() for part in named.split(","))):
        yield from _import(name, "CASEHAND_WORKFLOWS")


def _import(name: str, where: str) -> Iterator[ModuleType]:
    try:
        module = importlib.import_module(name)
        yield module
        for inner in pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}."):
            yield importlib.import_module(inner.name)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CasehandError(f"{name} cannot be imported ({fault}): correct it or {where}") from error
