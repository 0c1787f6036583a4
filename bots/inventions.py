"""What personal data is replaced by: in the same form, from ranges and domains that are given to nobody."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from datetime import date, timedelta

from casehand.bots.names import BEHIND_TITLE, without_title

TREES = tuple(
    "Alder Ash Aspen Beech Birch Cedar Elder Elm Fir Hazel Holly Larch Laurel Lime Maple Oak Olive".split()  # noqa: SIM905
)

STATE = "hidden state"

INVENTORS: dict[str, Callable[[int, str], str]] = {
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
    "name": lambda number, was: _named(was, f"{TREES[number % len(TREES)]}{number // len(TREES) or ''}"),
    "date of birth": lambda number, was: _as_dated(date(1970, 1, 1) + timedelta(days=number), was),
    STATE: lambda number, _: b64encode(f"hidden state {number + 1}".encode()).decode(),
    "text": lambda number, _: f"replaced{number + 1}",
}
"""By kind: from how many there were before, and from what it stands for."""


def _spaced(invention: str, was: str) -> str:
    return invention if " " in was else invention.replace(" ", "")


def _renumbered(was: str, number: int) -> str:
    digits = re.search(r"\d+$", was)
    length = len(digits[0]) if digits else 6
    return was[: len(was) - length] + f"9{number + 1:0{length - 1}}"


def _named(was: str, surname: str) -> str:
    title = re.match(BEHIND_TITLE, was)
    if title:
        return f"{title[0]}Test {surname}"
    if "," in was:
        return f"{surname}, Test"
    # One word is replaced by one.
    return f"Test {surname}" if len(without_title(was).split()) > 1 else surname


def _as_dated(day: date, was: str) -> str:
    return day.isoformat() if re.match(r"\d{4}-", was) else f"{day:%d/%m/%Y}"
