"""Where the web pages have what a message tells of: whoever has no web pages is told the command instead."""

from urllib.parse import quote

from casehand.console.listing import shown


class Links:
    """The addresses of the web pages, below the one at which they begin."""

    def __init__(self, console_url: str | None) -> None:
        self._begin = None if console_url is None else console_url.rstrip("/")

    def to_case(self, reference: str) -> str:
        """One case."""
        return self._to(f"/cases/{quote(reference, safe='')}", f"casehand case {reference}")

    def to_escalations(self) -> str:
        """All that waits for a person."""
        return self._to("/escalations", "casehand escalations")

    def to_batch(self, batch: str) -> str:
        """One batch."""
        return self._to(f"/batches/{quote(batch, safe='')}", f"casehand status --batch {batch}")

    def to_batches(self) -> str:
        """All batches."""
        return self._to("/batches", "casehand status")

    def to_schedules(self) -> str:
        """What comes by itself, and what of it went wrong."""
        return self._to("/schedules", "casehand schedule")

    def to_home(self) -> str:
        """How things stand."""
        return self._to("/", "casehand status")

    def _to(self, path: str, command: str) -> str:
        return f"`{shown(command)}` shows more." if self._begin is None else f"{self._begin}{path}"
