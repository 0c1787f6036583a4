"""Which folders are watched, as the settings say it; see docs/operations.md."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
SPAN = re.compile(r"(?:in|within) ([1-9][0-9]{0,3}) (hour|day)s?")


class FolderSettings(BaseModel):
    """One [[folder]]: where files are put, and which workflow works what is in them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    workflow: str = Field(min_length=1)
    name: str = ""  #: unset: the last part of the path
    priority: int = 0
    due: str | None = None  #: how long after a file came its cases are to be done, such as "within 5 days"
    still_seconds: float = Field(default=30, gt=0, le=86_400)  #: a file that changed later is left alone
    done: Path = Path("done")  #: under `path`, unless absolute
    rejected: Path = Path("rejected")

    @field_validator("due")
    @classmethod
    def _is_a_span(cls, due: str | None) -> str | None:
        if due is not None and SPAN.fullmatch(due) is None:
            raise ValueError('say it as "within 36 hours" or "within 5 days"')
        return due

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if NAME.fullmatch(self.called) is None:
            raise ValueError("give it a `name` of small letters, figures and hyphens")
        if self.done_at == self.rejected_at or self.path in (self.done_at, self.rejected_at):
            raise ValueError("`path`, `done` and `rejected` are three folders")
        return self

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or self.path.name

    @property
    def done_at(self) -> Path:
        """Where files go that became a batch."""
        return self.path / self.done

    @property
    def rejected_at(self) -> Path:
        """Where files go that cannot be read as one."""
        return self.path / self.rejected

    @property
    def still(self) -> timedelta:
        """How long a file must have been as it is."""
        return timedelta(seconds=self.still_seconds)

    def due_at(self, now: datetime) -> datetime | None:
        """When the cases of a file that is taken in now are to be done."""
        found = None if self.due is None else SPAN.fullmatch(self.due)
        return None if found is None else now + timedelta(**{f"{found[2]}s": int(found[1])})


def check_apart(folders: tuple[FolderSettings, ...]) -> None:
    """Raise ValueError when two folders have one name, or a place in common: each file goes one way only."""
    names = [one.called for one in folders]
    places = [place for one in folders for place in (one.path, one.done_at, one.rejected_at)]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two [[folder]] entries are called {name}: give each a `name` of its own")
    for place in places:
        if places.count(place) > 1:
            raise ValueError(f"two [[folder]] entries have the folder {place}: give each its own")
