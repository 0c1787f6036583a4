"""Personal data replaced by the same invention wherever it stands, and the search for what is left of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from casehand.bots.encodings import ENCODINGS, WRITTEN, in_base64, readings
from casehand.bots.inventions import INVENTORS, STATE
from casehand.bots.names import SHORTEST, parts
from casehand.bots.personal import Found, fielded, labelled, patterned, surely_personal

ENOUGH = 5
"""Letters that stand in bytes by no accident."""


@dataclass
class Replacements:
    """What has been replaced by what, the same each time."""

    also: dict[str, str] = field(
        default_factory=dict
    )  #: texts to be replaced whatever they look like, to their kind
    by: dict[str, Found] = field(default_factory=dict)  #: original to its kind and its invention
    times: Counter[str] = field(default_factory=Counter)
    _tables: dict[tuple[int, bool], _Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for original, kind in self.also.items():
            self._add(kind, original)

    def collect(self, text: str, is_code: bool = False) -> None:
        """Take note of what is personal in a text as a person reads it, or in a script or a style."""
        looks = surely_personal(text) if is_code else patterned(text)
        for kind, original in [*labelled(text, is_code), *looks]:
            self._add(kind, original)

    def collect_field(self, label: str, value: str) -> None:
        """Take note of what a field holds."""
        for kind, original in fielded(label, value):
            self._add(kind, original)

    def collect_state(self, state: str) -> None:
        """Take note of a hidden state that holds, encoded, what has been noted: it goes as a whole."""
        said = "\n".join(in_base64(state))
        if any(True for _ in [*self._originals_in_bytes(said), *self.news(surely_personal(said))]):
            self._add(STATE, state)

    def apply(self, text: str, is_code: bool = False) -> str:
        """The text with the inventions in place of all that was noted, also where it is written encoded."""
        return self._table(is_code).apply(text, self.times)

    def leftovers(self, text: str, is_code: bool = False) -> list[Found]:
        """What is still there, under whatever encoding, or looks personal and is no invention."""
        found: list[Found] = []
        for readable in readings(text):
            looks = surely_personal(readable) if is_code else patterned(readable)
            found += [
                *self._originals_in(readable, is_code),
                *self.news([*looks, *labelled(readable, is_code)]),
            ]
        state = "\n".join(said for said in in_base64(text) if not said.isprintable())
        found += [*self._originals_in_bytes(state), *self.news(surely_personal(state))]
        return sorted(set(found))

    def news(self, found: Iterable[Found]) -> Iterator[Found]:
        """Those that are no inventions."""
        invented = [invention.casefold() for _, invention in self.by.values()]
        for kind, text in found:
            plain = text.casefold()
            if len(_plain(text)) >= SHORTEST and not any(plain in one or one in plain for one in invented):
                yield kind, text

    def _originals_in(self, text: str, is_code: bool) -> Iterator[Found]:
        lower = text.casefold()
        if any(original.casefold() in lower for original in self.by):
            bare = self._without_inventions(text)
            table = self._table(is_code)
            yield from ((self.by[original][0], original) for original in table.found_in(bare))

    def _originals_in_bytes(self, text: str) -> Iterator[Found]:
        lower = text.casefold()
        for original, (kind, _) in self.by.items():
            if len(original) >= ENOUGH and original.casefold() in lower:
                yield kind, original

    def _without_inventions(self, text: str) -> str:
        inventions = sorted({invention for _, invention in self.by.values()}, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, inventions)), "", text, flags=re.IGNORECASE)

    def _add(self, kind: str, original: str) -> None:
        if original in self.by or len(_plain(original)) < SHORTEST or self._is_invention(original):
            return
        known = {_plain(one): pair for one, pair in self.by.items()}
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
        words, surname = parts(name)
        invented, invented_surname = parts(self.by[name][1])
        for word in words:
            if word not in self.by and word not in invented:
                self.by[word] = "name", invented_surname if word == surname else "Test"

    def _is_invention(self, text: str) -> bool:
        return any(text in invention for _, invention in self.by.values())

    def _table(self, is_code: bool) -> _Table:
        wanted = len(self.by), is_code
        if wanted not in self._tables:
            self._tables[wanted] = _Table(self.by, is_code)
        return self._tables[wanted]


class _Table:
    """Each way to write each original, and how its invention is written so."""

    def __init__(self, by: dict[str, Found], is_code: bool) -> None:
        self._written: dict[str, tuple[str, str]] = {}
        for original, (kind, invention) in by.items():
            # A state of many pages would make the table too long in each style and way.
            for write in WRITTEN[:-1] if kind == STATE else ENCODINGS:
                self._written.setdefault(write(original), (original, write(invention)))
        self._tame = {
            word
            for word, (original, _) in self._written.items()
            if by[original][0] == "name" and word.isalpha() and word.islower()
        }
        self._pattern = self._compiled(is_code) if by else None

    def apply(self, text: str, times: Counter[str]) -> str:
        if self._pattern is None:
            return text

        def invention(match: re.Match[str]) -> str:
            original, written = self._written[match[0]]
            times[original] += 1
            return written

        return self._pattern.sub(invention, text)

    def found_in(self, text: str) -> Iterator[str]:
        if self._pattern is not None:
            yield from (self._written[match[0]][0] for match in self._pattern.finditer(text))

    def _compiled(self, is_code: bool) -> re.Pattern[str]:
        longest_first = sorted(self._written, key=len, reverse=True)
        words = "|".join(
            re.escape(word) + (_guard(word, is_code) if word in self._tame else "") for word in longest_first
        )
        # A part of a longer word is another word.
        return re.compile(rf"(?:(?<![^\W_])|(?<=%[0-9A-Fa-f]{{2}}))(?:{words})(?![^\W_])")


def _guard(word: str, is_code: bool) -> str:
    """Where a surname in lower case may be a word of the page's own: a tag, an attribute, a colour of a style."""
    if is_code:
        return rf"(?<=[\"']{word})(?=[\"'])"
    return rf"(?<!<{word})(?<!</{word})(?!=[\"'])"


def _plain(text: str) -> str:
    return re.sub(r"[\s+]", "", text).casefold()
