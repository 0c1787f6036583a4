"""A recorded session with a system, kept as a HAR file with nothing personal and no secret in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from casehand.bots.personal import Found, fielded
from casehand.bots.posted import REMOVED, Field, fields, form_without_secrets, without_secrets
from casehand.bots.replacements import Replacements
from casehand.bots.shown import Shown
from casehand.exceptions import CasehandError

KEPT_OF_REQUESTS = frozenset({"content-type"})
KEPT_OF_ANSWERS = frozenset({"content-type", "location", "content-disposition"})
"""All other headers go: cookies and authorisations among them, under whatever name."""

AS_TEXT = re.compile(r"text/|json|xml|javascript|ecmascript|x-www-form-urlencoded")
CODE = re.compile(r"text/css|javascript|ecmascript")
"""What a system's makers wrote, in which a long number is not an account."""
FONT = re.compile(r"^font/|font-woff")
SAYS_ITS_CHARSET = re.compile(r"text/|xml|javascript|ecmascript")

DECLARED = re.compile(
    r"(?i)(<meta\b[^<>]*\bcharset\s*=\s*[\"']?|<\?xml\b[^<>]*\bencoding\s*=\s*[\"']|^@charset \")[\w.:-]+"
)
"""Where a text itself says what it is encoded in."""

Entry = dict[str, Any]


@dataclass(frozen=True)
class Cleaned:
    """A HAR file's content, and what was done to it."""

    har: dict[str, Any]
    replacements: Replacements
    left_out: tuple[str, ...]  #: the kinds of files whose content could not be searched


@dataclass(frozen=True)
class Leftover:
    """Something personal or secret that would be left, and where."""

    kind: str
    text: str
    number: int  #: of the entry, from 1
    place: str  #: the entry's method and path


class WouldBeLeft(CasehandError):
    """Something personal would be left in the file; its text names none of it."""

    def __init__(self, leftovers: tuple[Leftover, ...]) -> None:
        first = leftovers[0]
        kinds = sorted({one.kind for one in leftovers if one.number == first.number})
        super().__init__(
            f"nothing was written: the {' and the '.join(kinds)} in entry {first.number} ({first.place}) "
            "would be left: name the text with --personal, or record without that page"
        )
        self.leftovers = leftovers


def clean(
    har: Mapping[str, Any], secrets: tuple[str, ...] = (), also: Mapping[str, str] | None = None
) -> Cleaned:
    """Replace what is personal and remove what is secret.

    `secrets` are texts that go wherever they stand, such as the account's password; `also` are further texts to
    be replaced. Raises WouldBeLeft when something personal would be left.
    """
    left_out: list[str] = []
    entries = [_plain(entry, left_out) for entry in har["log"]["entries"]]
    boxes = {name for entry in entries for name in _password_boxes(entry)}
    for entry in entries:
        _remove_secrets(entry, boxes, secrets)
    replacements = Replacements(dict(also or {}))
    _collect(entries, replacements)
    cleaned = [_replaced(entry, replacements) for entry in entries]
    if leftovers := tuple(_leftovers(cleaned, replacements, secrets)):
        raise WouldBeLeft(leftovers)
    content = {"log": {"version": "1.2", "creator": {"name": "casehand", "version": "1"}, "entries": cleaned}}
    return Cleaned(content, replacements, tuple(left_out))


def as_text(har: Mapping[str, Any]) -> str:
    """The file's content."""
    return json.dumps(har, indent=1, ensure_ascii=False) + "\n"


def _plain(entry: Entry, left_out: list[str]) -> Entry:
    """What a playback needs of an entry, with texts as texts."""
    request, response = entry["request"], entry["response"]
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
            "headers": _as_utf8(_kept(response["headers"], KEPT_OF_ANSWERS), response["content"]),
            "content": _content(response["content"], left_out),
            "redirectURL": response.get("redirectURL", ""),
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": 0},
    }


def _kept(headers: list[dict[str, str]], names: frozenset[str]) -> list[dict[str, str]]:
    return [
        {"name": header["name"], "value": header["value"]}
        for header in headers
        if header["name"].lower() in names
    ]


def _as_utf8(headers: list[dict[str, str]], content: Mapping[str, Any]) -> list[dict[str, str]]:
    """The headers with the charset said: a text is kept in the file as Unicode, whatever it came in."""
    kind = content.get("mimeType", "")
    if not any(header["name"].lower() == "content-type" for header in headers) and "html" in kind:
        headers = [*headers, {"name": "Content-Type", "value": kind}]
    return [
        {"name": header["name"], "value": _with_charset(header["value"])}
        if header["name"].lower() == "content-type"
        else header
        for header in headers
    ]


def _with_charset(kind: str) -> str:
    if not SAYS_ITS_CHARSET.search(kind):
        return kind
    bare = re.sub(r"(?i)\s*;\s*charset=[^;]*", "", kind).rstrip("; ")
    return f"{bare}; charset=utf-8"


def _content(content: Mapping[str, Any], left_out: list[str]) -> dict[str, Any]:
    kind = content.get("mimeType", "")
    plain: dict[str, Any] = {"mimeType": kind, "size": -1}
    text = _body(content, kind)
    if text is not None:
        plain["text"] = DECLARED.sub(r"\1utf-8", text) if SAYS_ITS_CHARSET.search(kind) else text
    elif FONT.search(kind):
        plain |= {name: content[name] for name in ("text", "encoding") if name in content}
    elif content.get("text"):
        left_out.append(kind.partition(";")[0] or "a file of no known kind")
    return plain


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
        yield from re.findall(r"name=[\"']?([^\s\"'>]+)", tag)


def _text(entry: Entry) -> str:
    content: dict[str, Any] = entry["response"]["content"]
    return "" if FONT.search(content["mimeType"]) else content.get("text", "")


def _is_code(entry: Entry) -> bool:
    return CODE.search(entry["response"]["content"]["mimeType"]) is not None


def _remove_secrets(entry: Entry, boxes: set[str], secrets: tuple[str, ...]) -> None:
    request = entry["request"]
    request["url"] = _without(request["url"], secrets)
    parts = urlsplit(request["url"])
    if parts.query:
        request["url"] = urlunsplit(parts._replace(query=form_without_secrets(parts.query, boxes)))
    if "postData" in request:
        posted = request["postData"]
        posted["text"] = _without(without_secrets(posted["mimeType"], posted["text"], boxes), secrets)
    if _text(entry):
        entry["response"]["content"]["text"] = _without(_text(entry), secrets)


def _without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in filter(None, secrets):
        text = Replacements(by={secret: ("secret", REMOVED)}).apply(text)
    return text


def _collect(entries: list[Entry], replacements: Replacements) -> None:
    for entry, shown, sent in _with_pages(entries):
        for label, value in _fields(entry, shown, sent):
            replacements.collect_field(label, value)
            replacements.collect(value)
        for text in shown.texts() if shown else [_text(entry)]:
            replacements.collect(text, _is_code(entry))
    # When all else is known: whether a hidden state holds any of it.
    for _, shown, _ in _with_pages(entries):
        for state in shown.states() if shown else ():
            replacements.collect_state(state)


def _with_pages(entries: list[Entry]) -> Iterator[tuple[Entry, Shown | None, list[Field]]]:
    """Each entry with the page it shows, and with what was sent, behind the labels on the page it was sent from."""
    labels: dict[str, list[str]] = {}
    for entry in entries:
        request = entry["request"]
        posted = request.get("postData", {"mimeType": "", "text": ""})
        sent = [*parse_qsl(urlsplit(request["url"]).query), *fields(posted["mimeType"], posted["text"])]
        shown = (
            Shown(request["url"], _text(entry))
            if "html" in entry["response"]["content"]["mimeType"]
            else None
        )
        yield (
            entry,
            shown,
            [(label, value) for name, value in sent for label in (name, *labels.get(name, ()))],
        )
        # What one page calls so another calls otherwise: that which was shown last counts.
        labels |= shown.labels() if shown else {}


def _fields(entry: Entry, shown: Shown | None, sent: list[Field]) -> Iterator[Field]:
    """All that stands behind the name of a field: in the address, in what was sent, and in what was answered."""
    yield from sent
    yield from shown.fields() if shown else fields(entry["response"]["content"]["mimeType"], _text(entry))


def _replaced(entry: Entry, replacements: Replacements) -> Entry:
    """The entry with each text replaced; a font stays as it is."""
    content = entry["response"]["content"]
    text = content.pop("text", None)
    replaced: Entry = _in_each(entry, replacements)
    if text is not None:
        is_font = FONT.search(content["mimeType"])
        replaced["response"]["content"]["text"] = (
            text if is_font else replacements.apply(text, _is_code(entry))
        )
    return replaced


def _in_each(value: Any, replacements: Replacements) -> Any:
    if isinstance(value, str):
        return replacements.apply(value)
    if isinstance(value, list):
        return [_in_each(item, replacements) for item in value]
    if isinstance(value, dict):
        return {name: _in_each(item, replacements) for name, item in value.items()}
    return value


def _leftovers(
    entries: list[Entry], replacements: Replacements, secrets: tuple[str, ...]
) -> Iterator[Leftover]:
    for number, (entry, shown, sent) in enumerate(_with_pages(entries), 1):
        place = f"{entry['request']['method']} {urlsplit(entry['request']['url']).path}"
        behind = (one for label, value in _fields(entry, shown, sent) for one in fielded(label, value))
        found = [*_left_in_texts(entry, replacements, secrets), *replacements.news(behind)]
        yield from (Leftover(kind, text, number, place) for kind, text in dict.fromkeys(found))


def _left_in_texts(entry: Entry, replacements: Replacements, secrets: tuple[str, ...]) -> Iterator[Found]:
    for text, is_code in [*((text, False) for text in _strings(entry)), (_text(entry), _is_code(entry))]:
        yield from replacements.leftovers(text, is_code)
        yield from (("secret", REMOVED) for secret in secrets if secret and secret in text)


def _strings(entry: Entry) -> Iterator[str]:
    request, response = entry["request"], entry["response"]
    yield request["url"]
    yield request.get("postData", {}).get("text", "")
    yield from (header["value"] for header in response["headers"])
