"""What a person sent to a system: a form, JSON or XML, field by field, and without what is secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from email import message_from_bytes
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl, urlencode

SECRET = re.compile(r"passw|passwd|pwd|pass ?phrase|passcode|secret|otp|\bpin\b", re.IGNORECASE)
REMOVED = "removed"

NAMING = ("name", "label", "key", "field", "id")
"""Where JSON names a field beside its `value`."""

Field = tuple[str, str]


def fields(kind: str, text: str) -> Iterator[Field]:
    """Name and value of each field of what was sent, or answered, as this kind of content."""
    parsed = as_json(text)
    if "multipart/" in kind:
        yield from ((name, value) for name, value in _parts(kind, text))
    elif isinstance(parsed, dict | list):
        yield from json_fields(parsed)
    elif "xml" in kind:
        yield from _elements(text)
    elif "x-www-form-urlencoded" in kind:
        yield from parse_qsl(text)


def as_json(text: str) -> Any:
    """What a text says as JSON; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def json_fields(value: Any, name: str = "") -> Iterator[Field]:
    """Each value of JSON with the name that it stands behind; in a list, with that of the list."""
    if isinstance(value, dict):
        named = next((value[key] for key in NAMING if isinstance(value.get(key), str)), name)
        for key, inner in value.items():
            yield from json_fields(inner, named if key in ("value", "text") else key)
    elif isinstance(value, list):
        for inner in value:
            yield from json_fields(inner, name)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield name, str(value)


def without_secrets(kind: str, text: str, boxes: Collection[str]) -> str:
    """The same with each secret field's value removed; as it was where there is none.

    `boxes` are the names of the fields that came from password boxes.
    """

    def is_secret(name: str) -> bool:
        return name in boxes or SECRET.search(_words(name)) is not None

    if "multipart/" in kind:
        return _without_parts(kind, text, is_secret)
    if "x-www-form-urlencoded" in kind:
        return form_without_secrets(text, boxes)
    parsed = as_json(text)
    if isinstance(parsed, dict | list):
        emptied = _emptied(parsed, is_secret)
        if emptied != parsed:
            return json.dumps(emptied, ensure_ascii=False, separators=(",", ":"))
    elif "xml" in kind:
        return re.sub(
            r"(<(?:[\w.-]+:)?([\w.-]+)[^<>]*>)([^<>]+)(?=</)",
            lambda match: match[1] + (REMOVED if is_secret(match[2]) else match[3]),
            text,
        )
    return text


def form_without_secrets(form: str, boxes: Collection[str]) -> str:
    """The same for a form, such as that of an address."""
    pairs = parse_qsl(form, keep_blank_values=True)
    emptied = [
        (name, REMOVED if name in boxes or SECRET.search(_words(name)) else was) for name, was in pairs
    ]
    return form if emptied == pairs else urlencode(emptied)


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_\W]+", " ", name) + " " + name


def _emptied(value: Any, is_secret: Callable[[str], bool]) -> Any:
    if isinstance(value, dict):
        named = next((value[key] for key in NAMING if isinstance(value.get(key), str)), "")
        return {
            key: REMOVED
            if not isinstance(inner, dict | list | bool | None)
            and (is_secret(key) or (key == "value" and is_secret(named)))
            else _emptied(inner, is_secret)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_emptied(inner, is_secret) for inner in value]
    return value


def _elements(text: str) -> Iterator[Field]:
    for match in re.finditer(r"<(?:[\w.-]+:)?([\w.-]+)[^<>]*>([^<>]+)</", text):
        yield match[1], match[2]
    for match in re.finditer(r"\b(?:[\w.-]+:)?([\w.-]+)=\"([^\"<>]+)\"", text):
        yield match[1], match[2]


def _parts(kind: str, text: str) -> Iterator[Field]:
    for part in _multipart(kind, text):
        name = part.get_param("name", "", "content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            yield str(name), content.decode(errors="replace")


def _multipart(kind: str, text: str) -> Iterator[Message]:
    whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + text.encode())
    yield from (part for part in whole.walk() if not part.is_multipart())


def _without_parts(kind: str, text: str, is_secret: Callable[[str], bool]) -> str:
    for name, value in list(_parts(kind, text)):
        if is_secret(name) and value:
            head = rf"(name=\"?{re.escape(name)}\"?[^\n]*\r?\n(?:[^\n]*\S[^\n]*\n)*\r?\n)"
            text = re.sub(head + re.escape(value), lambda match: match[1] + REMOVED, text)
    return text
