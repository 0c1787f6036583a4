"""A producer: a typed function that yields cases for a workflow, and what comes by itself next to one."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar, get_type_hints

from pydantic import ValidationError

from casehand.bots.bot import Bot
from casehand.exceptions import CasehandError
from casehand.schedule import Schedule, Slot
from casehand.workflows.data import CaseData
from casehand.workflows.workflow import Workflow

TIMEOUT = timedelta(minutes=30)

Function = Callable[..., Iterable[CaseData]]
Comes = TypeVar("Comes", Workflow, "Producer")


@dataclass(frozen=True)
class Producer:
    """A producer as it was declared; calling it calls the function."""

    name: str
    workflow: Workflow  #: whose cases it yields
    function: Function
    bots: Mapping[str, type[Bot]]  #: by the name of the function's parameter
    slots: tuple[str, ...]  #: the parameters that are told which time of the schedule it is
    timeout: timedelta
    schedules: tuple[Schedule, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Iterable[CaseData]:
        """Produce cases."""
        return self.function(*args, **kwargs)

    @property
    def bot_names(self) -> list[str]:
        """The names of the bots it needs."""
        return sorted({bot.name for bot in self.bots.values()})


def producer(
    name: str, workflow: Workflow, *, timeout: timedelta = TIMEOUT
) -> Callable[[Function], Producer]:
    """Declare a function as the producer `name` of cases for a workflow.

    Each parameter is a bot, which arrives signed in, or a `Slot`. It yields the workflow's case data; what takes
    longer than `timeout` is ended. Raises TypeError when the annotations do not say all that.
    """

    def declare(function: Function) -> Producer:
        bots, slots = _read_annotations(function)
        return Producer(name, workflow, function, bots, slots, timeout)

    return declare


def scheduled(
    name: str, *, cron: str | None = None, every: str | None = None, **options: Any
) -> Callable[[Comes], Comes]:
    """Have a producer run, or a workflow given its `file` or `folder`, by itself: as a [[schedule]] says it.

    The options are those of docs/schedules.md. Raises TypeError when they are wrong.
    """

    def declare(comes: Comes) -> Comes:
        what = {"workflow": comes.name} if isinstance(comes, Workflow) else {"producer": comes.name}
        try:
            given = Schedule.model_validate({"name": name, "cron": cron, "every": every, **what, **options})
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise TypeError(f"the schedule {name}: {said}") from None
        return replace(comes, schedules=(*comes.schedules, given))

    return declare


def checked(one: object, producer: Producer) -> CaseData:
    """What a producer has yielded. Raises CasehandError when it is no case of its workflow."""
    if isinstance(one, producer.workflow.model):
        return one
    wanted = producer.workflow.model.__name__
    raise CasehandError(f"the producer {producer.name} yields {type(one).__name__}, not {wanted}: mend it")


def _read_annotations(function: Function) -> tuple[dict[str, type[Bot]], tuple[str, ...]]:
    hints = get_type_hints(function)
    bots: dict[str, type[Bot]] = {}
    slots: list[str] = []
    for parameter in inspect.signature(function).parameters:
        hint = hints.get(parameter)
        if hint is Slot:
            slots.append(parameter)
        elif inspect.isclass(hint) and issubclass(hint, Bot):
            bots[parameter] = hint
        else:
            raise TypeError(f"{function.__name__}: annotate the parameter {parameter!r} with a Bot or Slot")
    return bots, tuple(slots)
