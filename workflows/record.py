"""The record of an attempt: its steps with their times, and the evidence that belongs to each."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from casehand.clock import Clock


@dataclass
class Record:
    """Steps in the order they began."""

    clock: Clock
    steps: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Record a part of the attempt: when it began, how long it took, how it ended."""
        begun = self.clock()
        entry: dict[str, Any] = {"name": name, "at": begun.isoformat()}
        self.steps.append(entry)
        try:
            yield entry
        except BaseException as error:
            entry["end"] = type(error).__name__
            raise
        finally:
            entry["seconds"] = round((self.clock() - begun).total_seconds(), 3)

    def note(self, name: str, **details: Any) -> None:
        """Record something that took no time."""
        self.steps.append({"name": name, "at": self.clock().isoformat(), **details})

    def as_json(self) -> str:
        """The steps as JSON."""
        return json.dumps(self.steps)
