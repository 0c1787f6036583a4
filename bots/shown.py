"""What an answer of a system shows to a person: its texts, and what stands in its boxes behind their labels."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from html import unescape
from urllib.parse import parse_qsl, urlsplit

from selectolax.lexbor import LexborNode

from casehand.bots.posted import Field
from casehand.bots.reading import Reading

BOXES = "input, textarea, select"
CONTROLS = r"(?i)<(?:input|select|textarea|button)\b[^<>]*>"
HEADS = r"(?is)<tr\b[^<>]*>\s*(?:<th\b[^<>]*>(?:(?!</?t[hdr]\b).)*(?:</th>)?\s*){2,}</tr>"

NO_VALUE = "\t<\t"
"""No value begins so: what stands behind a box is not the value of the label before it."""


class Shown:
    """One page."""

    def __init__(self, address: str, text: str) -> None:
        self._page = Reading(address, text.encode(), "text/html; charset=utf-8")
        self._source = text
        self._said_for = dict(self._labels_for())

    def texts(self) -> Iterator[str]:
        """What it says, with cells apart by tabs."""
        yield "\n".join("\t".join(row) for row in self._rows())
        yield "\n".join(_columns(self._page.rows))
        for node in self._page.html.css("[title], [alt]"):
            yield node.attributes.get("title") or node.attributes.get("alt") or ""
        # With what no browser would show, and an end to each text: a name is not to run on into the next label.
        source = re.sub(CONTROLS, NO_VALUE, re.sub(HEADS, "\n", self._source))
        yield re.sub(r"<[^<>]+>", "\t", unescape(source))

    def fields(self) -> Iterator[Field]:
        """What stands in its boxes and in hidden attributes, behind each of their labels."""
        for box, labels in self._boxes():
            for value in _values(box):
                yield from ((label, value) for label in labels)
        for link in self._page.html.css("a[href], form[action]"):
            href = link.attributes.get("href") or link.attributes.get("action") or ""
            yield from parse_qsl(urlsplit(href).query)
        for name, value in re.findall(r"\bdata-([\w-]+)=[\"']([^\"'<>]+)[\"']", self._source):
            yield name, unescape(value)

    def states(self) -> Iterator[str]:
        """What stands in its hidden boxes: some hold a whole record there, encoded."""
        for box in self._page.html.css("input[type=hidden i]"):
            yield box.attributes.get("value") or ""

    def labels(self) -> dict[str, list[str]]:
        """What its boxes are called, by the name under which they are sent."""
        called: dict[str, list[str]] = defaultdict(list)
        for box, labels in self._boxes():
            if name := box.attributes.get("name"):
                called[name] += labels
        return called

    def _boxes(self) -> Iterator[tuple[LexborNode, list[str]]]:
        """Each box with all that it is called."""
        for box in self._page.html.css(BOXES):
            of = box.attributes
            if (of.get("type") or "").lower() not in ("submit", "button", "image", "reset"):
                called = (
                    of.get("aria-label"),
                    of.get("name"),
                    of.get("id"),
                    of.get("placeholder"),
                    of.get("title"),
                )
                near = (self._said_for.get(of.get("id") or ""), *_around(box))
                yield box, [label for label in (*called, *near) if label]

    def _rows(self) -> Iterator[list[str]]:
        """Its rows, without those that only head columns: there the next cell is no value."""
        for row, cells in zip(self._page.html.css("tr"), self._page.rows, strict=True):
            if len(cells) == 1 or any(cell.tag == "td" for cell in row.iter()):
                yield cells

    def _labels_for(self) -> Iterator[tuple[str, str]]:
        for label in self._page.html.css("label[for]"):
            yield label.attributes.get("for") or "", _words(label)


def _values(box: LexborNode) -> Iterator[str]:
    if box.tag == "input":
        yield box.attributes.get("value") or ""
    elif box.tag == "textarea":
        yield box.text()
    else:
        yield from (_words(option) for option in box.css("option"))


def _around(box: LexborNode) -> Iterator[str]:
    """The label that a box stands in, and the cell before it: old pages know no other label."""
    node = box.parent
    while node is not None and node.tag not in ("td", "form", "table", "body"):
        if node.tag == "label":
            yield _words(node)
        node = node.parent
    if node is not None and node.tag == "td":
        before = node.prev
        while before is not None and before.tag not in ("td", "th"):
            before = before.prev
        if before is not None:
            yield _words(before)


def _columns(rows: list[list[str]]) -> Iterator[str]:
    """Each cell behind the head of its column."""
    heads: list[str] = []
    for row in rows:
        if len(row) == len(heads):
            yield from (f"{head}\t{cell}" for head, cell in zip(heads, row, strict=True))
        else:
            heads = row


def _words(node: LexborNode) -> str:
    return " ".join(node.text(separator=" ").split())
