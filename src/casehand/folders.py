"""Which folders are watched, as the settings say it; see docs/operations.md."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from casehand.queue.when import Moment

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class FolderSettings(BaseModel):
    """One [[folder]]: where files are put, and which workflow works what is in them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    workflow: str = Field(min_length=1)
    name: str = ""  #: unset: the last part of the path
    priority: int = 0
    due: Moment | None = None  #: by when its cases are to be done, such as "within 5 working days"
    still_seconds: float = Field(default=30, gt=0, le=86_400)  #: a file that changed later is left alone
    done: Path = Path("done")  #: under `path`, unless absolute
    rejected: Path = Path("rejected")

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
