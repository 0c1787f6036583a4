"""Each way in which an address, a form, a page or a script may write a text, and how it is read again."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


def _lower_quoted(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quote(text, safe=""))


def _styled(style: Callable[[str], str], write: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: write(style(text))


WRITTEN: tuple[Callable[[str], str], ...] = (
    str,
    html.escape,
    lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("\u00a0", "&nbsp;"),
    lambda text: quote(text, safe=""),
    quote,
    quote_plus,
    _lower_quoted,
    _escaped,
    lambda text: _escaped(text).replace("'", "\\u0027"),
    _base64,
)
ENCODINGS = [_styled(style, write) for style in (str, str.upper, str.lower, str.title) for write in WRITTEN]


def readings(text: str) -> Iterator[str]:
    """The text, and what it says when it is decoded in each way."""
    yield text
    decoded = html.unescape(unquote_plus(unquote_plus(text)))
    yield decoded
    yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), decoded)
    yield "\n".join(said for said in in_base64(text) if said.isprintable())


def in_base64(text: str) -> Iterator[str]:
    """What a text holds in base64; where that is no text, with a mark for each byte that is none."""
    for written in dict.fromkeys((text, _unquoted(text))):
        for token in re.findall(r"[A-Za-z0-9+/_-]{8,}={0,2}", written):
            # In an address, what stands before a stroke is none of it.
            for part in dict.fromkeys([token, *token.split("/")]):
                if (said := _from_base64(part)) is not None:
                    yield said


def _unquoted(text: str) -> str:
    # A plus is also a digit of base64.
    return html.unescape(unquote(unquote(text)))


def _from_base64(text: str) -> str | None:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode(errors="replace")
    except binascii.Error:
        return None
