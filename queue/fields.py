"""Fields: how a cell becomes the value of a model's field, taking what a person writes and nothing else."""

import re
import types
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from casehand.queue.cells import Cell, Number, as_text

Reader = Callable[[Cell], object]
"""Turns a cell that is not empty into a value; raises Unfit."""

LONGEST_NUMBER = 40

_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_WHOLE_NUMBER = re.compile(r"-?[0-9]+")
_ISO_DATE = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
_BRITISH_DATE = re.compile(r"(?P<day>[0-9]{1,2})/(?P<month>[0-9]{1,2})/(?P<year>[0-9]{4})")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?")
_WORDS = {"yes": True, "true": True, "no": False, "false": False}

_A_NUMBER = "must be a plain number such as 123.45"
_A_WHOLE_NUMBER = "must be a whole number such as 12"
_A_DATE = "must be a real date such as 2026-04-06 or 06/04/2026 (day first)"
_A_TIME = "must be a real date and time such as 2026-04-06 09:30 or 06/04/2026 09:30 (day first)"
_YES_OR_NO = "must be yes or no"


class Unfit(Exception):
    """A cell that its field does not take; the text says what it does take and nothing of the cell."""


def reader_for(annotation: object) -> Reader:
    """What reads the cells of a field of this type: types it does not know are given the text."""
    kind = plain_type(annotation)
    if get_origin(kind) is Literal:
        return _choice({str(choice): choice for choice in get_args(kind)})
    if isinstance(kind, type):
        if issubclass(kind, Enum):
            return _choice({str(member.value): member for member in kind})
        for known, reader in _READERS:
            if issubclass(kind, known):
                return reader
    return _read_text


def plain_type(annotation: object) -> object:
    """The type without its constraints, and without None where that is the only alternative."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        others = [kind for kind in get_args(annotation) if kind is not type(None)]
        if len(others) == 1:
            return plain_type(others[0])
    return annotation


def takes_none(annotation: object) -> bool:
    """Whether an empty cell is a value of this type."""
    if get_origin(annotation) is Annotated:
        return takes_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return any(takes_none(kind) for kind in get_args(annotation))
    return annotation in (None, type(None), Any)


def _read_text(cell: Cell) -> str:
    match cell:
        case str():
            return cell
        case Number(shown=str(text)):
            return text
        case Number():
            raise Unfit("is a number that Excel shows rounded or grouped: format the column as Text")
        case date():
            raise Unfit("is a date in Excel and should be text: format the column as Text")
        case _:
            raise _misplaced(cell, "must be text")


def read_decimal(cell: Cell) -> Decimal:
    match cell:
        case str() if _PLAIN_NUMBER.fullmatch(cell) and len(cell) <= LONGEST_NUMBER:
            return Decimal(cell)
        case str():
            raise Unfit(_number_advice(cell))
        case Number(value=value):
            return value
        case _:
            raise _misplaced(cell, _A_NUMBER)


def _read_float(cell: Cell) -> float:
    return float(read_decimal(cell))


def _number_advice(text: str) -> str:
    if any(sign in text for sign in "£$€"):
        return f"{_A_NUMBER}, without a currency sign"
    if re.fullmatch(r"-?[0-9.,]+", text) and "," in text:
        return f"{_A_NUMBER}, without commas"
    if re.fullmatch(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", text):
        return f"{_A_NUMBER}, without an exponent"
    return _A_NUMBER


def read_int(cell: Cell) -> int:
    match cell:
        case str() if _WHOLE_NUMBER.fullmatch(cell) and len(cell) <= LONGEST_NUMBER:
            return int(cell)
        case Number(value=value) if value == value.to_integral_value():
            return int(value)
        case _:
            raise _misplaced(cell, _A_WHOLE_NUMBER)


def read_bool(cell: Cell) -> bool:
    match cell:
        case bool():
            return cell
        case str() if cell.casefold() in _WORDS:
            return _WORDS[cell.casefold()]
        case _:
            raise _misplaced(cell, _YES_OR_NO)


def read_date(cell: Cell) -> date:
    match cell:
        case datetime():
            raise Unfit("has a time of day: give the date alone")
        case date():
            return cell
        case str():
            return _parsed_date(cell, _A_DATE)
        case _:
            raise _misplaced(cell, _A_DATE)


def read_datetime(cell: Cell) -> datetime:
    match cell:
        case datetime():
            return cell
        case date():
            return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - the sheet gives no zone
        case str():
            return _parsed_datetime(cell)
        case _:
            raise _misplaced(cell, _A_TIME)


def _parsed_date(text: str, advice: str) -> date:
    found = _ISO_DATE.fullmatch(text) or _BRITISH_DATE.fullmatch(text)
    if found is None:
        raise Unfit(advice)
    try:
        return date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:
        raise Unfit(advice) from None


def _parsed_datetime(text: str) -> datetime:
    day, _, clock = text.replace("T", " ").partition(" ")
    if not _TIME.fullmatch(clock):
        raise Unfit(_A_TIME)
    try:
        return datetime.fromisoformat(f"{_parsed_date(day, _A_TIME).isoformat()}T{clock}")
    except ValueError:
        raise Unfit(_A_TIME) from None


def _choice(choices: dict[str, object]) -> Reader:
    advice = f"must be one of {', '.join(choices)}"

    def read(cell: Cell) -> object:
        text = as_text(cell)
        if text is None or text not in choices:
            raise _misplaced(cell, advice)
        return choices[text]

    return read


def _misplaced(cell: Cell, advice: str) -> Unfit:
    if isinstance(cell, bool):
        return Unfit(f"is TRUE or FALSE in Excel but {advice}")
    return Unfit(advice)


_READERS: tuple[tuple[type, Reader], ...] = (
    (bool, read_bool),
    (int, read_int),
    (Decimal, read_decimal),
    (float, _read_float),
    (datetime, read_datetime),
    (date, read_date),
)
"""In this order: a boolean is an int, and a datetime a date."""
