"""Paths to come back to, which are always this site's own."""

import re
from urllib.parse import urlsplit

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
