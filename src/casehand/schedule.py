"""What comes by itself, as the settings or a workflow's own module say it; see docs/schedules.md."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from casehand.exceptions import CasehandError
from casehand.queue.calendar import WorkingCalendar
from casehand.queue.rules import Rule
from casehand.queue.schedules import Missed, Overlap
from casehand.queue.urgency import HIGHEST
from casehand.queue.when import Edge, Moment, read_moment


@dataclass(frozen=True)
class Slot:
    """One of the times of a schedule, for a producer that wants to know which it runs for."""

    schedule: str
    at: datetime  #: in the schedule's time zone


class Schedule(BaseModel):
    """One [[schedule]]: when, what is handed in, and what if it cannot be then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")
    cron: str | None = None
    every: str | None = None  #: in words, such as "every working day at 06:30"
    time_zone: str | None = None  #: unset: the settings' own
    workflow: str | None = None
    file: Path | None = None
    folder: Path | None = None  #: every file in it
    producer: str | None = None
    priority: int = Field(default=0, ge=-HIGHEST, le=HIGHEST)
    not_before: Moment | None = None  #: words, read at the time of the run
    due: Moment | None = None
    missed: Missed = Missed.ONCE
    overlap: Overlap = Overlap.WAIT

    @field_validator("name", mode="before")
    @classmethod
    def _check_name(cls, name: object) -> object:
        if isinstance(name, str) and not (name[:1].isalnum() and name.isascii() and name == name.lower()):
            raise ValueError("give it a name of small letters, digits and hyphens, such as nightly-rents")
        return name

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, name: str | None) -> str | None:
        try:
            return name if name is None else ZoneInfo(name).key
        except (KeyError, ValueError, OSError):
            raise ValueError(f"there is no time zone {name}: give one such as Europe/London") from None

    @model_validator(mode="after")
    def _check_when(self) -> Self:
        if (self.cron is None) == (self.every is None):
            raise ValueError('give either `cron` or `every`, such as every = "every working day at 06:30"')
        try:
            self.rule(WorkingCalendar())
        except CasehandError as error:
            raise ValueError(f"{'every' if self.cron is None else 'cron'} is wrong: {error}") from None
        return self

    @model_validator(mode="after")
    def _check_what(self) -> Self:
        given = [name for name in ("file", "folder", "producer") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give one of `file`, `folder` and `producer`: what is handed in")
        if (self.workflow is None) != (self.producer is not None):
            raise ValueError(
                "give the `workflow` that the file is for"
                if self.workflow is None
                else "leave `workflow` out: the producer says it"
            )
        return self

    def rule(self, calendar: WorkingCalendar) -> Rule:
        """When it comes. Raises CasehandError."""
        zone = self.zone(calendar)
        if self.cron is not None:
            return Rule.from_cron(self.cron, zone)
        return Rule.from_words(self.every or "", calendar, zone)

    def zone(self, calendar: WorkingCalendar) -> ZoneInfo:
        """By whose clocks."""
        return calendar.zone if self.time_zone is None else ZoneInfo(self.time_zone)

    def begins(self, at: datetime, calendar: WorkingCalendar) -> datetime | None:
        """Before which time its cases may not begin, for a run at `at`."""
        return None if self.not_before is None else read_moment(self.not_before, at, calendar)

    def ends(self, at: datetime, calendar: WorkingCalendar) -> datetime | None:
        """By when its cases must be done, for a run at `at`."""
        return None if self.due is None else read_moment(self.due, at, calendar, Edge.END)


def by_name(schedules: Iterable[Schedule]) -> dict[str, Schedule]:
    """Schedules by their names. Raises CasehandError when two have one name."""
    found: dict[str, Schedule] = {}
    for one in schedules:
        if found.setdefault(one.name, one) is not one:
            raise CasehandError(f"two schedules are named {one.name}: rename one of them")
    return found
