"""Forms: the fields that a model's JSON schema asks for, drawn with what was typed, and what was typed read again.

A field is named in the page by a prefix and its path, such as `answer.address.line`; a date is three fields.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from starlette.datastructures import FormData

from casehand.queue.fields import Unfit, read_decimal, read_int
from casehand.workflows.forms import WHOLE, FieldType, FormField, WrongFields, check_typed, fields_of, part_of

DEEPEST = 2
"""Fields within fields within fields are typed as JSON."""
LONG = 80
"""Characters from which a text has a box of several lines."""
DATE_PARTS = ("day", "month", "year")
_MONEY = re.compile(
    r"£|\b(pounds?|pence|money|amount|rent|fee|charge|cost|price|pay|payment|award|income|arrears|balance|refund)\b"
)
_DIGITS = re.compile(r"[0-9]{1,4}")

Typed = Mapping[str, Sequence[str]]
"""What was typed, by the name of the field in the page."""


@dataclass(frozen=True)
class Drawn:
    """One field as the page shows it; `kind` says which of the macros of `escalations/fields.html` draws it."""

    kind: str
    name: str  #: in what is sent
    id: str  #: where the error summary leads
    title: str
    help: str | None
    required: bool
    choices: tuple[str, ...] = ()
    values: tuple[str, ...] = ()  #: one, but three for a date, and any number for checkboxes
    error: str | None = None
    longest: int | None = None
    parts: tuple["Drawn", ...] = ()

    @property
    def value(self) -> str:
        """The one value."""
        return self.values[0] if self.values else ""


@dataclass(frozen=True)
class Kind:
    """How a field is drawn: of what schema, and whether by lines, boxes or parts of its own."""

    name: str
    schema: Any


def draw(schema: Any, prefix: str, typed: Typed, faults: Mapping[str, str], depth: int = 0) -> list[Drawn]:
    """The fields of a form; `typed` is by their names in the page, `faults` by their paths in the form."""
    return [
        _draw(schema, field, f"{prefix}.{field.name}", typed, faults, depth) for field in fields_of(schema)
    ]


def errors_of(fields: Sequence[Drawn], faults: Mapping[str, str]) -> dict[str, str]:
    """What is wrong, by where the error summary leads; what is wrong with all together leads to the first field."""
    errors: dict[str, str] = {}
    for field in fields:
        if field.error is not None:
            errors[field.id] = field.error
        errors |= errors_of(field.parts, {})
    whole = [fault for name, fault in faults.items() if name == WHOLE]
    if (whole or (faults and not errors)) and fields:
        errors.setdefault(_first(fields).id, _sentence((whole or list(faults.values()))[0]))
    return errors


def read(schema: Any, prefix: str, typed: Typed, depth: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """What was typed, as `check_typed` takes it, and by path what cannot be put together so."""
    texts: dict[str, str] = {}
    faults: dict[str, str] = {}
    for field in fields_of(schema):
        name = f"{prefix}.{field.name}"
        try:
            texts[field.name] = _read(schema, field, name, typed, depth)
        except _Faults as wrong:
            faults |= {f"{field.name}{path and '.'}{path}": fault for path, fault in wrong.faults.items()}
    return texts, faults


def check(schema: Any, prefix: str, typed: Typed) -> dict[str, str]:
    """What was typed, as the desk takes it. Raises WrongFields that says of every field what it must be."""
    texts, faults = read(schema, prefix, typed)
    try:
        check_typed(schema, texts)
    except WrongFields as wrong:
        named = {path.partition(".")[0] for path in faults}
        faults |= {path: fault for path, fault in wrong.faults.items() if path.partition(".")[0] not in named}
    if faults:
        raise WrongFields(faults)
    return texts


def typed_of(form: FormData, prefix: str) -> dict[str, list[str]]:
    """What was sent of the fields of a form."""
    typed: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str) and name.startswith(f"{prefix}."):
            typed.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return typed


def typed_from(
    schema: Any, prefix: str, values: Mapping[str, object], depth: int = 0
) -> dict[str, list[str]]:
    """Values, as a person would have typed them."""
    typed: dict[str, list[str]] = {}
    for field in fields_of(schema):
        name, value = f"{prefix}.{field.name}", values.get(field.name)
        kind = _kind(schema, field, depth)
        if value is None:
            typed |= _empty(kind, name)
        elif kind.name == "parts" and isinstance(value, Mapping):
            typed |= typed_from(kind.schema, name, value, depth + 1)
        elif kind.name == "date":
            year, month, day = [*str(value).split("-"), "", "", ""][:3]
            typed |= {
                f"{name}.day": [day.lstrip("0")],
                f"{name}.month": [month.lstrip("0")],
                f"{name}.year": [year],
            }
        elif kind.name in ("boxes", "lines") and isinstance(value, list):
            typed[name] = (
                [str(one) for one in value] if kind.name == "boxes" else ["\n".join(map(str, value))]
            )
        else:
            typed[name] = [_shown(value)]
    return typed


class _Faults(Exception):
    """What cannot be put together, by path within the field; "" for the field itself."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__("a field cannot be read")


def _draw(
    schema: Any, field: FormField, name: str, typed: Typed, faults: Mapping[str, str], depth: int
) -> Drawn:
    kind = _kind(schema, field, depth)
    parts: tuple[Drawn, ...] = ()
    within = {
        path.partition(".")[2]: fault for path, fault in faults.items() if path.startswith(f"{field.name}.")
    }
    fault = faults.get(field.name)
    if kind.name == "parts":
        parts = tuple(draw(kind.schema, name, typed, within, depth + 1))
    elif fault is None and within:
        fault = next(iter(within.values()))
    values = _values(kind, name, typed, field.default)
    if kind.name == "text" and ("\n" in values[0] or max(len(values[0]), field.longest or 0) > LONG):
        kind = Kind("long", kind.schema)
    place = _id(f"{name}.day" if kind.name == "date" else name)
    return Drawn(
        kind=kind.name,
        name=name,
        id=_first(parts).id if parts else place,
        title=_title(schema, field),
        help=field.help,
        required=field.required,
        choices=_choices(kind, field),
        values=values,
        error=None if fault is None else _sentence(f"{_title(schema, field)} {fault}"),
        longest=field.longest,
        parts=parts,
    )


def _kind(schema: Any, field: FormField, depth: int) -> Kind:
    part = part_of(schema, field.name)
    match field.type:
        case FieldType.NUMBER if _is_money(schema, field):
            return Kind("money", part)
        case FieldType.JSON if part.get("type") == "array":
            return _kind_of_list(part)
        case FieldType.JSON if part.get("properties") and depth < DEEPEST:
            return Kind("parts", part)
        case FieldType.CHOICE:
            return Kind("choice", part)
        case other:
            return Kind(_KINDS[other], part)


def _is_money(schema: Any, field: FormField) -> bool:
    """Whether it is an exact amount, which may come as text too, that is spoken of as money."""
    kinds = [one.get("type") for one in schema["properties"][field.name].get("anyOf", ())]
    words = f"{field.name} {field.title} {field.help or ''}".lower().replace("_", " ")
    return "string" in kinds and _MONEY.search(words) is not None


_KINDS: Mapping[FieldType, str] = {
    FieldType.TEXT: "text",
    FieldType.NUMBER: "number",
    FieldType.WHOLE_NUMBER: "whole",
    FieldType.YES_OR_NO: "yesno",
    FieldType.DATE: "date",
    FieldType.TIME: "time",
    FieldType.JSON: "json",
}


def _kind_of_list(part: Any) -> Kind:
    """A list of one kind of plain thing can be ticked or typed line by line."""
    if not isinstance(part.get("items"), dict):
        return Kind("json", part)
    items = part_of({"properties": {"one": part["items"]}, "$defs": part.get("$defs", {})}, "one")
    if "enum" in items:
        return Kind("boxes", items)
    simple = items.get("type") in ("string", "integer", "number") and not items.get("format")
    return Kind("lines" if simple else "json", items)


def _choices(kind: Kind, field: FormField) -> tuple[str, ...]:
    if kind.name == "boxes":
        return tuple(map(str, kind.schema["enum"]))
    return ("yes", "no") if kind.name == "yesno" else field.choices


def _values(kind: Kind, name: str, typed: Typed, default: str | None) -> tuple[str, ...]:
    if kind.name == "date":
        dated = tuple(typed.get(f"{name}.{part}", [""])[0] for part in DATE_PARTS)
        return (
            dated if any(f"{name}.{part}" in typed for part in DATE_PARTS) or not default else _split(default)
        )
    if kind.name == "boxes":
        return tuple(typed.get(name, ()))
    if kind.name == "lines" and name not in typed and default:
        return ("\n".join(map(str, json.loads(default))),)
    return (typed.get(name, [default or ""])[0],)


def _split(day: str) -> tuple[str, ...]:
    year, month, first = [*day.split("-"), "", "", ""][:3]
    return first.lstrip("0"), month.lstrip("0"), year


def _read(schema: Any, field: FormField, name: str, typed: Typed, depth: int) -> str:
    kind = _kind(schema, field, depth)
    text = typed.get(name, [""])[0].strip()
    match kind.name:
        case "date":
            return _read_date(name, typed)
        case "money":
            return re.sub(r"[£,\s]", "", text)
        case "boxes":
            return _read_boxes(kind.schema, typed.get(name, ()), field)
        case "lines":
            return _read_lines(kind.schema, text, field)
        case "parts":
            return _read_parts(kind.schema, field, name, typed, depth)
        case _:
            return text


def _read_date(name: str, typed: Typed) -> str:
    day, month, year = (typed.get(f"{name}.{part}", [""])[0].strip() for part in DATE_PARTS)
    missing = [part for part, text in zip(DATE_PARTS, (day, month, year), strict=True) if not text]
    if len(missing) == len(DATE_PARTS):
        return ""
    if missing:
        raise _Faults({"": f"must include a {' and a '.join(missing)}"})
    try:
        if not all(_DIGITS.fullmatch(text) for text in (day, month, year)) or len(year) != len("2026"):
            raise ValueError(year)
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        raise _Faults({"": "must be a real date, in numbers such as 6 4 2026"}) from None


def _read_boxes(items: Any, chosen: Sequence[str], field: FormField) -> str:
    if not chosen and not field.required:
        return ""
    known = {str(one): one for one in items["enum"]}
    return json.dumps([known.get(one, one) for one in chosen])


def _read_lines(items: Any, text: str, field: FormField) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines and not field.required:
        return ""
    read: list[object] = []
    for number, line in enumerate(lines, start=1):
        try:
            read.append(_read_line(items.get("type"), line))
        except Unfit as unfit:
            raise _Faults({"": f"{unfit} (line {number})"}) from None
    return json.dumps(read)


def _read_line(kind: str, line: str) -> object:
    if kind == "integer":
        return read_int(line)
    return float(read_decimal(line)) if kind == "number" else line


def _read_parts(part: Any, field: FormField, name: str, typed: Typed, depth: int) -> str:
    texts, faults = read(part, name, typed, depth + 1)
    is_given = any(text for key, values in typed.items() if key.startswith(f"{name}.") for text in values)
    if not is_given and not field.required:
        return ""
    try:
        value = check_typed(part, texts)
    except WrongFields as wrong:
        raise _Faults({**wrong.faults, **faults}) from None
    if faults:
        raise _Faults(faults)
    return json.dumps(value)


def _empty(kind: Kind, name: str) -> dict[str, list[str]]:
    if kind.name == "date":
        return {f"{name}.{part}": [""] for part in DATE_PARTS}
    return {} if kind.name in ("parts", "boxes") else {name: [""]}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _title(schema: Any, field: FormField) -> str:
    """The title that its author gave it; else its name, and not that of its class, which others may have too."""
    words = field.name.replace("_", " ")
    given = schema["properties"][field.name].get("title", words.title())
    return words.capitalize() if given == words.title() else str(given)


def _first(fields: Sequence[Drawn]) -> Drawn:
    return _first(fields[0].parts) if fields[0].parts else fields[0]


def _id(name: str) -> str:
    """What an address can lead to, different for each name."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda one: "-" if one[0] == "." else f"_{ord(one[0]):x}", name)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
