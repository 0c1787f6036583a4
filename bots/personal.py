"""Personal data in what a system showed: found, and replaced by the same invention wherever it stands."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from urllib.parse import quote, quote_plus, unquote_plus

TITLES = r"(?:Mrs|Mr|Ms|Miss|Mx|Dr|Rev|Prof|Sir|Dame)"
WORD = r"[A-Z][a-zA-Z\u00C0-\u024F'\u2019-]+"
STREETS = (
    "Street|Road|Avenue|Lane|Close|Drive|Court|Way|Place|Gardens|Crescent|Terrace|Hill|Square|Grove|Park|Row|Walk"
    "|Mews|Green|View|Rise|House|Flats"
)

PATTERNS: dict[str, str] = {
    "e-mail": r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "National Insurance number": (
        r"(?i)(?<![A-Z0-9])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
        r"(?:[ ]?\d{2}){3}[ ]?[A-D](?![A-Z0-9])"
    ),
    "reference": r"(?<![A-Za-z0-9])[A-Z]{2,4}-?\d{5,10}(?![A-Za-z0-9])",
    "address": rf"(?:(?:Flat|Unit|Room) \w+, )?\d{{1,4}}[A-Za-z]? (?:{WORD} )+(?:{STREETS})(?:, {WORD}(?: {WORD})*)*",
    "postcode": r"(?<![A-Za-z0-9])[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[ABD-HJLNP-UW-Z]{2}(?![A-Za-z0-9])",
    "phone number": r"(?<![\w.])(?:\+44[ ]?|0)\d{2,4}[ -]?\d{3,4}[ -]?\d{3,4}(?![\w.])",
    "sort code": r"(?<![\w-])\d{2}-\d{2}-\d{2}(?![\w-])",
    "account number": r"(?<![\w.,/-])\d{7,12}(?![\w.,/-])",
    "name": rf"\b{TITLES}\.? (?:{WORD} ){{0,2}}{WORD}",
}
"""What looks like a person's wherever it stands, the surest first."""

LABELS: dict[str, str] = {
    "name": (
        r"(?:full |first |last |middle |family )?name|surname|forenames?|claimant|tenant|partner"
        r"|liable part(?:y|ies)"
    ),
    "address": r"(?:full |property |forwarding )?address(?: line \d)?",
    "postcode": r"post ?code",
    "phone number": r"(?:tele)?phone(?: number)?|mobile(?: number)?",
    "e-mail": r"e-?mail(?: address)?",
    "National Insurance number": r"ni(?:no)?|national insurance(?: number)?",
    "date of birth": r"date of birth|dob|born",
    "account number": r"(?:bank )?account(?: number)?",
    "sort code": r"sort ?code",
}
"""What the value beside such a label is."""

HEADINGS = frozenset(
    {
        "Status",
        "Date",
        "Type",
        "Amount",
        "Reference",
        "Number",
        "Title",
        "From",
        "To",
        "Yes",
        "No",
        "None",
        "Unknown",
    }
)
"""What stands beside such a label in the head of a table."""

LONGEST = 120
TREES = tuple(
    "Alder Ash Aspen Beech Birch Cedar Elder Elm Fir Hazel Holly Larch Laurel Lime Maple Oak Olive".split()  # noqa: SIM905
)


@dataclass
class Replacements:
    """What has been replaced by what, the same each time."""

    also: dict[str, str] = field(
        default_factory=dict
    )  #: texts to be replaced whatever they look like, to their kind
    by: dict[str, tuple[str, str]] = field(default_factory=dict)  #: original to its kind and its invention
    times: Counter[str] = field(default_factory=Counter)

    def collect(self, text: str) -> None:
        """Take note of what is personal in a text as a person reads it."""
        for original, kind in self.also.items():
            if original in text:
                self._add(kind, original)
        for kind, original in [*_labelled(text), *_patterned(text)]:
            self._add(kind, original)

    def apply(self, text: str) -> str:
        """The text with the inventions in place of all that was noted, also where it is written encoded."""
        pattern, inventions = self._table()
        if pattern is None:
            return text

        def invention(match: re.Match[str]) -> str:
            original, written = inventions[match[0]]
            self.times[original] += 1
            return written

        return pattern.sub(invention, text)

    def leftovers(self, text: str) -> list[str]:
        """The kinds of what is still there, under whatever encoding, or looks personal and is no invention."""
        invented = {invention.casefold() for _, invention in self.by.values()}
        found = []
        for readable in _readings(text):
            lower = readable.casefold()
            found += [
                kind
                for original, (kind, _) in self.by.items()
                if original.casefold() in lower and not _is_within(original, invented, lower)
            ]
            found += [
                kind
                for kind, original in _patterned(readable)
                if not any(original.casefold() in one or one in original.casefold() for one in invented)
            ]
        return sorted(set(found))

    def _add(self, kind: str, original: str) -> None:
        known = {_plain(one): pair for one, pair in self.by.items()}
        if original in self.by or len(_plain(original)) < 3 or self._is_invention(original):
            return
        if _plain(original) in known:
            # The same with other blanks: the same invention, with its own blanks.
            invention = known[_plain(original)][1]
            self.by[original] = kind, invention if " " in original else invention.replace(" ", "")
            return
        number = sum(one == kind for one, _ in self.by.values())
        self.by[original] = kind, INVENTORS[kind](number, original)
        if kind == "name":
            self._add_parts(original)

    def _add_parts(self, name: str) -> None:
        """A person's surname and forenames stand alone elsewhere."""
        words = [word for word in re.sub(rf"^{TITLES}\.? ", "", name).split() if len(word) > 2]
        invented = re.sub(rf"^{TITLES}\.? ", "", self.by[name][1]).split()
        for place, word in enumerate(words):
            if word not in self.by and word not in invented and re.fullmatch(WORD, word):
                last = place == len(words) - 1
                self.by[word] = "name", invented[-1] if last else invented[0]

    def _is_invention(self, text: str) -> bool:
        return any(text in invention for _, invention in self.by.values())

    def _table(self) -> tuple[re.Pattern[str] | None, dict[str, tuple[str, str]]]:
        table: dict[str, tuple[str, str]] = {}
        for original, (_, invention) in self.by.items():
            for write in ENCODINGS:
                table.setdefault(write(original), (original, write(invention)))
        longest_first = sorted(table, key=len, reverse=True)
        if not longest_first:
            return None, table
        # A part of a longer word is another word.
        words = "|".join(map(re.escape, longest_first))
        return re.compile(rf"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{{2}}))(?:{words})(?![A-Za-z0-9])"), table


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
    lambda text: quote(text, safe=""),
    quote,
    quote_plus,
    _lower_quoted,
    _escaped,
    _base64,
)
ENCODINGS = [_styled(style, write) for style in (str, str.upper, str.lower) for write in WRITTEN]
"""Each way in which an address, a form, a page or a script may write the same text."""

INVENTORS: dict[str, Callable[[int, str], str]] = {
    # Prefixes, ranges and domains that are never given out.
    "e-mail": lambda number, _: f"person{number + 1}@example.test",
    "National Insurance number": lambda number, was: _spaced(
        f"QQ {number // 10000 % 100:02} {number // 100 % 100:02} {number % 100:02} A", was
    ),
    "reference": lambda number, was: _renumbered(was, number),
    "address": lambda number, _: f"{number + 1} Nowhere Street, Exampleton",
    "postcode": lambda number, was: _spaced(f"ZZ{number // 10 % 100} {number % 10}ZZ", was),
    "phone number": lambda number, _: f"01632 960{number % 1000:03}",
    "sort code": lambda number, _: f"00-{number // 100 % 100:02}-{number % 100:02}",
    "account number": lambda number, was: _renumbered(was, number),
    "name": lambda number, was: _titled(
        was, f"Test {TREES[number % len(TREES)]}{number // len(TREES) or ''}"
    ),
    "date of birth": lambda number, was: _as_dated(date(1970, 1, 1) + timedelta(days=number), was),
    "text": lambda number, _: f"replaced{number + 1}",
}


def _spaced(invention: str, was: str) -> str:
    return invention if " " in was else invention.replace(" ", "")


def _renumbered(was: str, number: int) -> str:
    digits = re.search(r"\d+$", was)
    length = len(digits[0]) if digits else 6
    return was[: len(was) - length] + f"9{number + 1:0{length - 1}}"


def _titled(was: str, invention: str) -> str:
    title = re.match(rf"{TITLES}\.? ", was)
    # One word is replaced by one.
    plain = invention if " " in was else invention.split()[-1]
    return (title[0] if title else "") + (invention if title else plain)


def _as_dated(day: date, was: str) -> str:
    return day.isoformat() if re.match(r"\d{4}-", was) else f"{day:%d/%m/%Y}"


def _plain(text: str) -> str:
    return re.sub(r"[\s+]", "", text).casefold()


def _is_within(original: str, invented: Iterable[str], text: str) -> bool:
    """Whether it stands in a text only as a part of inventions."""
    for one in invented:
        text = text.replace(one, "")
    return original.casefold() not in re.findall(r"[\w.@+'-]+", text) and (
        " " not in original or original.casefold() not in text
    )


def _patterned(text: str) -> Iterator[tuple[str, str]]:
    taken: list[tuple[int, int]] = []
    for kind, pattern in PATTERNS.items():
        for match in re.finditer(pattern, text):
            if kind == "account number" and _is_compact_day(match[0]):
                continue
            if not any(start < match.end() and match.start() < end for start, end in taken):
                taken.append(match.span())
                yield kind, match[0]


def _is_compact_day(text: str) -> bool:
    return re.fullmatch(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", text) is not None


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """What stands after a label: `Surname<tab>Alder`, on a line of its own, or `"surname": "Alder"`."""
    for kind, label in LABELS.items():
        for match in re.finditer(
            rf"(?im)(?:^|[\t\"])(?:{label})\"?\s*[:\t]\s*\"?([^\t\n\"<>]{{2,{LONGEST}}})", text
        ):
            value = match[1].strip()
            alone = re.match(r"\W*(?:claimant|tenant|partner|liable)", match[0], re.IGNORECASE) is None
            if _fits(kind, value) and (kind != "name" or alone or " " in value):
                yield kind, value


def _fits(kind: str, value: str) -> bool:
    if value in HEADINGS or any(re.fullmatch(label, value, re.IGNORECASE) for label in LABELS.values()):
        return False
    if kind == "name":
        return re.fullmatch(rf"(?:{TITLES}\.? )?{WORD}(?: {WORD}){{0,3}}", value) is not None
    if kind == "address":
        return re.search(r"\d", value) is not None and " " in value
    return re.search(r"\d|@", value) is not None


def _readings(text: str) -> Iterator[str]:
    """The text, and what it says when it is decoded in each way."""
    yield text
    decoded = html.unescape(unquote_plus(unquote_plus(text)))
    yield decoded
    yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), decoded)
    for match in re.finditer(r"[A-Za-z0-9+/_-]{8,}={0,2}", text):
        if (inner := _from_base64(match[0])) is not None:
            yield inner


def _from_base64(text: str) -> str | None:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        said = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return said if said.isprintable() else None
