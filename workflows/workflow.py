"""A workflow: a typed function that works one kind of case, and what its annotations say of it."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from casehand.bots.bot import Bot
from casehand.queue.calendar import WorkingCalendar
from casehand.queue.policy import BatchStop, Late
from casehand.schedule import Schedule
from casehand.workflows.case import Case
from casehand.workflows.data import CaseData
from casehand.workflows.due import DueRule, WorkingDaysAfter, due_by

TIMEOUT = timedelta(minutes=5)
STOP = BatchStop()


@dataclass(frozen=True)
class Workflow:
    """A workflow as it was declared; calling it calls the function."""

    name: str
    function: Callable[..., BaseModel | None]
    model: type[CaseData]
    reference: str  #: the field of the model that people search by
    bots: Mapping[str, type[Bot]]  #: by the name of the function's parameter
    minutes_by_hand: float
    timeout: timedelta
    due: DueRule | None = None
    late: Late = Late.ESCALATE
    batch_stop: BatchStop | None = field(default_factory=BatchStop)
    schedules: tuple[Schedule, ...] = ()  #: by which files of its cases come by themselves

    def due_of(self, data: BaseModel, calendar: WorkingCalendar) -> datetime | None:
        """By when a case with this data must be done, by the workflow's rule; None for no date."""
        return None if self.due is None else due_by(self.due, data, calendar)

    def open_time(self, begin: datetime, end: datetime, calendar: WorkingCalendar) -> timedelta:
        """For how long all its bots are open between two moments."""
        spans = [max(end - begin, timedelta())]
        for bot in self.bots.values():
            with suppress(ValueError):  # Its cases wait, and the bot is paused with that as the reason.
                spans.append(bot.open_time(begin, end, calendar.is_working_day))
        return min(spans)

    def only_looks(self, address: str, sent: str) -> bool:
        """Whether one of its bots knows of this request by POST that it changes nothing."""
        return any(bot.only_looks(address, sent) for bot in self.bots.values())

    def __call__(self, *args: Any, **kwargs: Any) -> BaseModel | None:
        """Work a case."""
        return self.function(*args, **kwargs)

    @property
    def bot_names(self) -> list[str]:
        """The names of the bots it needs."""
        return sorted({bot.name for bot in self.bots.values()})

    @property
    def settles(self) -> timedelta:
        """How long a change in the slowest of its systems may be on its way."""
        return max((bot.settles for bot in self.bots.values()), default=timedelta())


def workflow(
    name: str,
    *,
    reference: str,
    minutes_by_hand: float = 0,
    timeout: timedelta = TIMEOUT,
    due: DueRule | None = None,
    late: Literal["escalate", "cancel"] = "escalate",
    batch_stop: BatchStop | None = STOP,
) -> Callable[[Callable[..., BaseModel | None]], Workflow]:
    """Declare a function as the workflow `name`, such as "housing-benefit/rent-change".

    The function's first parameter is `case: Case[Model]`, and each other is a bot. `reference` names the
    model's field that people search by; `minutes_by_hand` is what the case costs a person; an attempt that
    takes longer than `timeout` is ended. `due` works out from the data by when a case must be done, and `late`
    says what becomes of one whose date passes before it is begun. `batch_stop` says when a batch stops itself;
    None for never. Raises TypeError when the annotations do not say all that.
    """

    def declare(function: Callable[..., BaseModel | None]) -> Workflow:
        model, bots = _read_annotations(function)
        if reference not in model.model_fields:
            raise TypeError(f"{name}: {model.__name__} has no field {reference!r} to be the reference")
        if isinstance(due, WorkingDaysAfter) and due.field not in model.model_fields:
            raise TypeError(
                f"{name}: {model.__name__} has no field {due.field!r} to reckon the due date from"
            )
        return Workflow(
            name, function, model, reference, bots, minutes_by_hand, timeout, due, Late(late), batch_stop
        )

    return declare


def _read_annotations(
    function: Callable[..., BaseModel | None],
) -> tuple[type[CaseData], dict[str, type[Bot]]]:
    hints = get_type_hints(function)
    case, *others = inspect.signature(function).parameters or [""]
    hint = hints.get(case)
    if get_origin(hint) is not Case:
        raise TypeError(f"{function.__name__}: annotate the first parameter as Case[YourData]")
    (model,) = get_args(hint)
    bots = {parameter: hints.get(parameter) for parameter in others}
    for parameter, bot in bots.items():
        if not (inspect.isclass(bot) and issubclass(bot, Bot)):
            raise TypeError(f"{function.__name__}: annotate the parameter {parameter!r} with a Bot")
    return model, {parameter: bot for parameter, bot in bots.items() if bot is not None}
