"""Forms: what a model's JSON schema asks of a person, field by field, and what is wrong with what was typed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from casehand.exceptions import CasehandError
from casehand.queue.fields import Unfit, read_bool, read_date, read_datetime, read_decimal, read_int

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

WHOLE = ""
"""In place of a field's name: what is wrong with all of it together."""


class WrongFields(CasehandError):
    """Fields that cannot be taken so; `faults` says of each what it must be, WHOLE of all together."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__("; ".join(f"{name}: {fault}" if name else fault for name, fault in faults.items()))


class FieldType(StrEnum):
    """How a field is typed in."""

    TEXT = "text"
    NUMBER = "number"
    WHOLE_NUMBER = "whole number"
    YES_OR_NO = "yes or no"
    DATE = "date"
    TIME = "date and time"
    CHOICE = "choice"
    JSON = "json"  #: a list or several fields together


@dataclass(frozen=True)
class FormField:
    """One field as a page draws it."""

    name: str
    title: str
    help: str | None
    type: FieldType
    choices: tuple[str, ...]
    required: bool
    default: str | None  #: as a person would type it
    longest: int | None  #: characters


def fields_of(schema: Any) -> list[FormField]:
    """The fields of a form, in the order of its model."""
    required = schema.get("required", ())
    return [_field(schema, name, name in required) for name in schema.get("properties", {})]


def part_of(schema: Any, name: str) -> Any:
    """The schema of one field by itself, which can be drawn and checked as a form when it has fields of its own."""
    part = _plain(schema, schema["properties"][name])
    return {**part, "$defs": schema["$defs"]} if "$defs" in schema else part


def check_form(schema: Any, value: object) -> object:
    """The value, when it fits the schema. Raises WrongFields that names every field that does not."""
    # Here, since it is slow to import and most commands check no answer.
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    faults: dict[str, str] = {}
    for error in sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path))):
        for name, fault in _faults(error):
            faults.setdefault(name, fault)
    if faults:
        raise WrongFields(faults)
    return value


def check_typed(schema: Any, typed: Mapping[str, str]) -> object:
    """What a person typed into a form's fields, read as its types; a field left empty is not given.

    Raises WrongFields that names every field that cannot be taken so.
    """
    fields = {field.name: field for field in fields_of(schema)}
    faults = {name: "is no field of this form" for name in typed if name not in fields}
    read: dict[str, object] = {}
    for name, field in fields.items():
        text = typed.get(name, "").strip()
        if not text:
            continue
        try:
            read[name] = _read(field, _plain(schema, schema["properties"][name]), text)
        except Unfit as unfit:
            faults[name] = str(unfit)
    try:
        check_form(schema, read)
    except WrongFields as wrong:
        missed = {name: fault for name, fault in wrong.faults.items() if name not in faults}
        faults |= missed
    if faults:
        raise WrongFields(faults)
    # An amount is kept as it was typed: a float would make another of a long one.
    return read | {name: typed[name].strip() for name in read if _may_be_text(schema, fields[name])}


def _may_be_text(schema: Any, field: FormField) -> bool:
    kinds = [one.get("type") for one in schema["properties"][field.name].get("anyOf", ())]
    return field.type is FieldType.NUMBER and "string" in kinds


def _field(schema: Any, name: str, required: bool) -> FormField:
    whole = schema["properties"][name]
    plain = _plain(schema, whole)
    choices = tuple(map(str, plain.get("enum", [plain["const"]] if "const" in plain else ())))
    default = whole.get("default")
    return FormField(
        name=name,
        title=whole.get("title") or plain.get("title") or name,
        help=whole.get("description") or plain.get("description"),
        type=FieldType.CHOICE if choices else _type(plain),
        choices=choices,
        required=required,
        default=None if default is None else _as_typed(default),
        longest=plain.get("maxLength"),
    )


def _plain(schema: Any, part: Any) -> Any:
    """A field's own schema: without references, and without null or the text that a number may come as."""
    if "$ref" in part:
        return _plain(schema, schema["$defs"][part["$ref"].rpartition("/")[2]])
    if len(part.get("allOf", ())) == 1:
        return _plain(schema, part["allOf"][0])
    if "anyOf" in part:
        others = [one for one in part["anyOf"] if one.get("type") != "null"]
        numbers = [one for one in others if one.get("type") in ("number", "integer")]
        if len(others) == 1 or numbers:
            return _plain(schema, (numbers or others)[0])
    return part


def _type(plain: Any) -> FieldType:
    match plain.get("type"), plain.get("format"):
        case "string", "date":
            return FieldType.DATE
        case "string", "date-time":
            return FieldType.TIME
        case "string", _:
            return FieldType.TEXT
        case "integer", _:
            return FieldType.WHOLE_NUMBER
        case "number", _:
            return FieldType.NUMBER
        case "boolean", _:
            return FieldType.YES_OR_NO
        case _:
            return FieldType.JSON


def _as_typed(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return default if isinstance(default, str) else json.dumps(default)


def _read(field: FormField, plain: Any, text: str) -> object:
    """What was typed, as JSON has it. Raises Unfit."""
    match field.type:
        case FieldType.TEXT:
            return text
        case FieldType.CHOICE:
            return _chosen({str(one): one for one in plain.get("enum", [plain.get("const")])}, text)
        case FieldType.WHOLE_NUMBER:
            return read_int(text)
        case FieldType.NUMBER:
            return float(read_decimal(text))
        case FieldType.YES_OR_NO:
            return read_bool(text)
        case FieldType.DATE:
            return read_date(text).isoformat()
        case FieldType.TIME:
            return read_datetime(text).isoformat()
        case FieldType.JSON:
            return _json(text)


def _chosen(choices: Mapping[str, object], text: str) -> object:
    if text not in choices:
        raise Unfit(f"must be one of {', '.join(choices)}")
    return choices[text]


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise Unfit('must be JSON, such as ["one", "two"]') from None


def _faults(error: "ValidationError") -> Iterator[tuple[str, str]]:
    """The fields that one error is about, each with what it must be."""
    path = [str(part) for part in error.path]
    if error.validator == "required" and isinstance(error.instance, Mapping):
        wanted: Any = error.validator_value
        missing = [name for name in wanted if name not in error.instance]
        yield from ((".".join([*path, name]), "is empty") for name in missing)
        return
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        unknown = [str(name) for name in error.instance if name not in known]
        yield from ((".".join([*path, name]), "is no field of this form") for name in unknown)
        return
    yield ".".join(path) or WHOLE, _sentence(error)


_SENTENCES: Mapping[str, str] = {
    "minimum": "must be at least {}",
    "exclusiveMinimum": "must be more than {}",
    "maximum": "must be no more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have no more than {} characters",
    "minItems": "must have at least {} entries",
    "maxItems": "must have no more than {} entries",
    "pattern": "does not have the form that is expected ({})",
    "const": "must be {}",
}

_TYPES: Mapping[str, str] = {
    "string": "must be text",
    "number": "must be a plain number such as 123.45",
    "integer": "must be a whole number such as 12",
    "boolean": "must be yes or no (in JSON: true or false)",
    "object": 'must be several fields, in JSON such as {"field": "value"}',
    "array": 'must be a list, in JSON such as ["one", "two"]',
    "null": "must be empty",
}

_FORMATS: Mapping[str, str] = {
    "date": "must be a real date such as 2026-04-06",
    "date-time": "must be a real date and time such as 2026-04-06T09:30:00Z",
}


def _sentence(error: "ValidationError") -> str:
    """What a field must be, without the value, which may be anything."""
    kind = str(error.validator)
    wanted: Any = error.validator_value
    if kind == "anyOf" and error.context:
        return _of_alternatives(list(error.context))
    if kind == "required":
        found: Any = error.instance
        return f"lacks {', '.join(str(name) for name in wanted if name not in found)}"
    if kind == "enum":
        return f"must be one of {', '.join(map(str, wanted))}"
    if kind == "type":
        return _TYPES.get(str(wanted), "does not fit")
    if kind == "format":
        return _FORMATS.get(str(wanted), f"must be a {wanted}")
    shown = f"{wanted:g}" if isinstance(wanted, float) else wanted
    return _SENTENCES[kind].format(shown) if kind in _SENTENCES else "does not fit"


def _of_alternatives(errors: "list[ValidationError]") -> str:
    """What the alternative wants that fits by its type, or else the first: pydantic's numbers may be texts."""
    fitting = [error for error in errors if error.validator != "type"]
    numbers = [error for error in errors if error.validator == "type" and error.validator_value == "number"]
    return _sentence((numbers if _only_patterns(fitting) and numbers else fitting or errors)[0])


def _only_patterns(errors: "list[ValidationError]") -> bool:
    return all(error.validator == "pattern" for error in errors)
