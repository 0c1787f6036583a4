"""A recorded session with a system, kept as a HAR file with nothing personal and no secret in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from casehand.bots.personal import Replacements
from casehand.bots.reading import Reading
from casehand.exceptions import CasehandError

KEPT_OF_REQUESTS = frozenset({"content-type"})
KEPT_OF_ANSWERS = frozenset({"content-type", "location", "content-disposition"})
"""All other headers go: cookies and authorisations among them, under whatever name."""

AS_TEXT = re.compile(r"text/|json|xml|javascript|x-www-form-urlencoded")
KEPT_AS_IT_IS = re.compile(r"text/css|javascript|^font/|font-woff")
"""What a system's makers wrote, in which a long number is not an account."""

SECRET = re.compile(r"passw|passwd|pwd|secret|otp|\bpin\b", re.IGNORECASE)
REMOVED = "removed"
FORM = "application/x-www-form-urlencoded"

Entry = dict[str, Any]


@dataclass(frozen=True)
class Cleaned:
    """A HAR file's content, and what was done to it."""

    har: dict[str, Any]
    replacements: Replacements
    left_out: tuple[str, ...]  #: the kinds of files whose content could not be searched


def clean(
    har: Mapping[str, Any], secrets: tuple[str, ...] = (), also: Mapping[str, str] | None = None
) -> Cleaned:
    """Replace what is personal and remove what is secret.

    `secrets` are texts that go wherever they stand, such as the account's password; `also` are further texts to
    be replaced. Raises CasehandError when something personal would be left, with the place and the kind of it.
    """
    left_out: list[str] = []
    entries = [_plain(entry, left_out) for entry in har["log"]["entries"]]
    boxes = {name for entry in entries for name in _password_boxes(entry)}
    for entry in entries:
        _remove_secrets(entry, boxes, secrets)
    replacements = Replacements(dict(also or {}))
    for entry in entries:
        for text in _readable(entry):
            replacements.collect(text)
    cleaned = [_replaced(entry, replacements) for entry in entries]
    _check(cleaned, replacements, secrets)
    content = {"log": {"version": "1.2", "creator": {"name": "casehand", "version": "1"}, "entries": cleaned}}
    return Cleaned(content, replacements, tuple(left_out))


def _plain(entry: Entry, left_out: list[str]) -> Entry:
    """What a playback needs of an entry, with texts as texts."""
    request, response = entry["request"], entry["response"]
    kind = response["content"].get("mimeType", "")
    content: dict[str, Any] = {"mimeType": kind, "size": -1}
    text = _body(response["content"], kind)
    if text is not None:
        content["text"] = text
    elif KEPT_AS_IT_IS.search(kind):
        content |= {
            name: response["content"][name] for name in ("text", "encoding") if name in response["content"]
        }
    elif response["content"].get("text"):
        left_out.append(kind.partition(";")[0] or "a file of no known kind")
    plain_request = {
        "method": request["method"],
        "url": request["url"],
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _kept(request["headers"], KEPT_OF_REQUESTS),
        "queryString": [],
        "headersSize": -1,
        "bodySize": -1,
    }
    if posted := request.get("postData"):
        plain_request["postData"] = {
            "mimeType": posted.get("mimeType", ""),
            "params": [],
            "text": posted.get("text", ""),
        }
    return {
        "startedDateTime": "2026-01-01T00:00:00.000Z",
        "time": 0,
        "request": plain_request,
        "response": {
            "status": response["status"],
            "statusText": response.get("statusText", ""),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": _kept(response["headers"], KEPT_OF_ANSWERS),
            "content": content,
            "redirectURL": response.get("redirectURL", ""),
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": 0},
    }


def _kept(headers: list[dict[str, str]], names: frozenset[str]) -> list[dict[str, str]]:
    return [
        {"name": header["name"], "value": _as_utf8(header)}
        for header in headers
        if header["name"].lower() in names
    ]


def _as_utf8(header: Mapping[str, str]) -> str:
    """A header's value; a text is kept in the file as Unicode, whatever it came in."""
    if header["name"].lower() == "content-type":
        return re.sub(r"(?i)charset=[^;]+", "charset=utf-8", header["value"])
    return header["value"]


def _body(content: Mapping[str, Any], kind: str) -> str | None:
    """The text of an answer; None where it is no text."""
    if not AS_TEXT.search(kind):
        return None
    text: str = content.get("text", "")
    if content.get("encoding") != "base64":
        return text
    raw = base64.b64decode(text)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("windows-1252", errors="replace")


def _password_boxes(entry: Entry) -> Iterator[str]:
    for tag in re.findall(r"<input\b[^>]*type=[\"']?password\b[^>]*>", _text(entry), re.IGNORECASE):
        yield from re.findall(r"name=[\"']?([\w.-]+)", tag)


def _text(entry: Entry) -> str:
    content: dict[str, Any] = entry["response"]["content"]
    return "" if "encoding" in content else content.get("text", "")


def _remove_secrets(entry: Entry, boxes: set[str], secrets: tuple[str, ...]) -> None:
    request = entry["request"]
    request["url"] = _without(request["url"], secrets)
    parts = urlsplit(request["url"])
    if parts.query:
        request["url"] = urlunsplit(parts._replace(query=_without_fields(parts.query, boxes)))
    if "postData" in request:
        posted = request["postData"]
        if FORM in posted["mimeType"]:
            posted["text"] = _without_fields(posted["text"], boxes)
        posted["text"] = _without(posted["text"], secrets)
    content = entry["response"]["content"]
    if "text" in content and "encoding" not in content:
        content["text"] = _without(content["text"], secrets)


def _without_fields(form: str, boxes: set[str]) -> str:
    fields = parse_qsl(form, keep_blank_values=True)
    if not any(name in boxes or SECRET.search(name) for name, _ in fields):
        return form
    return urlencode(
        [(name, REMOVED if name in boxes or SECRET.search(name) else value) for name, value in fields]
    )


def _without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in filter(None, secrets):
        text = Replacements(by={secret: ("secret", REMOVED)}).apply(text)
    return text


def _readable(entry: Entry) -> Iterator[str]:
    """What an entry says, as a person reads it, cells apart by tabs."""
    request = entry["request"]
    for form in (urlsplit(request["url"]).query, request.get("postData", {}).get("text", "")):
        yield "\n".join(value for _, value in parse_qsl(form))
    kind, text = entry["response"]["content"]["mimeType"], _text(entry)
    if "html" in kind:
        page = Reading(request["url"], text.encode(), "text/html; charset=utf-8")
        yield "\n".join("\t".join(row) for row in page.rows)
        yield "\n".join(_columns(page.rows))
        yield "\n".join(_boxes(page))
        # With what no browser would show, and an end to each text: a name is not to run on into the next label.
        yield re.sub(r"<[^<>]*>", "\t", unescape(text))
    elif not KEPT_AS_IT_IS.search(kind):
        yield text


def _columns(rows: list[list[str]]) -> Iterator[str]:
    """Each cell behind the head of its column."""
    heads: list[str] = []
    for row in rows:
        if len(row) == len(heads):
            yield from (f"{head}\t{cell}" for head, cell in zip(heads, row, strict=True))
        else:
            heads = row


def _boxes(page: Reading) -> Iterator[str]:
    """What stands in a form's boxes and in hidden attributes, behind the box's name."""
    for box in page.html.css("input, textarea, option, [title], [alt], a[href]"):
        of = box.attributes
        if of.get("type") != "submit":
            yield f"{of.get('aria-label') or of.get('name') or ''}\t{of.get('value') or ''}"
        yield of.get("title") or of.get("alt") or ""
        yield " ".join(value for _, value in parse_qsl(urlsplit(of.get("href") or "").query))


def _replaced(entry: Entry, replacements: Replacements) -> Entry:
    """The entry with each text replaced, but for what the system's makers wrote."""
    content = entry["response"]["content"]
    made = KEPT_AS_IT_IS.search(content["mimeType"])
    kept = {name: content.pop(name) for name in ("text", "encoding") if made and name in content}
    replaced: Entry = _in_each(entry, replacements)
    replaced["response"]["content"] |= kept
    return replaced


def _in_each(value: Any, replacements: Replacements) -> Any:
    if isinstance(value, str):
        return replacements.apply(value)
    if isinstance(value, list):
        return [_in_each(item, replacements) for item in value]
    if isinstance(value, dict):
        return {name: _in_each(item, replacements) for name, item in value.items()}
    return value


def _check(entries: list[Entry], replacements: Replacements, secrets: tuple[str, ...]) -> None:
    for number, entry in enumerate(entries, 1):
        texts = [text for text in _strings(entry) if text]
        found = {kind for text in texts for kind in replacements.leftovers(text)}
        if any(secret and secret in text for secret in secrets for text in texts):
            found.add("secret")
        if found:
            place = f"{entry['request']['method']} {urlsplit(entry['request']['url']).path}"
            raise CasehandError(
                f"nothing was written: the {' and the '.join(sorted(found))} in entry {number} ({place}) "
                "would be left: name the text with --personal, or record without that page"
            )


def _strings(entry: Entry) -> Iterator[str]:
    request, response = entry["request"], entry["response"]
    yield request["url"]
    yield request.get("postData", {}).get("text", "")
    yield from (header["value"] for header in response["headers"])
    if not KEPT_AS_IT_IS.search(response["content"]["mimeType"]):
        yield _text(entry)


def as_text(har: Mapping[str, Any]) -> str:
    """The file's content."""
    return json.dumps(har, indent=1, ensure_ascii=False) + "\n"
