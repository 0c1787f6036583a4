"""Which workflows are installed: found by entry point, or named in CASEHAND_WORKFLOWS."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from types import ModuleType

from casehand.bots.bot import Bot
from casehand.exceptions import CasehandError
from casehand.workflows.workflow import Workflow

GROUP = "casehand.workflows"


def installed_workflows(named: str = "") -> dict[str, Workflow]:
    """Every workflow by its name; `named` is what CASEHAND_WORKFLOWS says: modules or packages, by comma.

    Raises CasehandError when a module cannot be imported or two workflows have one name.
    """
    found: dict[str, Workflow] = {}
    for module in _modules(named):
        for workflow in (value for value in vars(module).values() if isinstance(value, Workflow)):
            if found.setdefault(workflow.name, workflow) is not workflow:
                raise CasehandError(f"two workflows are named {workflow.name}: rename one of them")
    return found


def find_workflow(installed: Mapping[str, Workflow], name: str) -> Workflow:
    """The workflow of that name. Raises CasehandError with the nearest names."""
    if name in installed:
        return installed[name]
    near = difflib.get_close_matches(name, installed, n=3, cutoff=0.4) or sorted(installed)[:3]
    hint = f"did you mean {' or '.join(near)}?" if near else "install one, or set CASEHAND_WORKFLOWS"
    raise CasehandError(f"there is no workflow {name!r}: {hint}")


def installed_bots(workflows: Iterable[Workflow]) -> dict[str, type[Bot]]:
    """Every bot that a workflow needs, by its name. Raises CasehandError when two have one name."""
    found: dict[str, type[Bot]] = {}
    for workflow in workflows:
        for bot in workflow.bots.values():
            if found.setdefault(bot.name, bot) is not bot:
                raise CasehandError(f"two bots are named {bot.name}: rename one of them")
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
