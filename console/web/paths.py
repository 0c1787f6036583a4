"""Paths: of a case, by its reference; and to come back to, which are always this site's own."""

import re
from urllib.parse import quote, urlsplit

LONGEST = 2_000
_PLAIN = re.compile(r"[!-\[\]-~]+")


def own_path(text: str | None) -> str:
    """The path and query that a text names here, or home when it names anything else."""
    given = text or "/"
    if (
        len(given) > LONGEST
        or not _PLAIN.fullmatch(given)
        or not given.startswith("/")
        or given.startswith("//")
    ):
        return "/"
    parts = urlsplit(given)
    if parts.scheme or parts.netloc:
        return "/"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def case_path(reference: str, case: str | None = None) -> str:
    """The path of a case's page: by its reference, and its id where another with that reference could be meant."""
    name = path_segment(reference, case)
    query = "" if case is None or name == case else f"?case={case}"
    return f"/cases/{name}{query}"


def path_segment(reference: str, case: str | None = None) -> str:
    """A reference as the end of a path, which may be its case's id."""
    # A path cannot end in dots alone: browsers take them for a way up.
    name = case if case is not None and not reference.strip(".") else reference
    return quote(name, safe="", errors="replace")
