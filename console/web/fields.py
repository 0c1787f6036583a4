"""Fields of what a case holds, as a person reads them: with their titles, and dates in words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel

from casehand.workflows.data import PersonalMark


@dataclass(frozen=True)
class CaseField:
    """One field."""

    title: str
    help: str | None
    value: str | None  #: None for an empty one
    is_personal: bool = False


def fields_of_case(data: Mapping[str, object], model: type[BaseModel] | None) -> list[CaseField]:
    """What came in, in the model's order and by its titles; by their names where no workflow is installed."""
    known = {} if model is None else model.model_fields
    names = [name for name in known if name in data] + [name for name in data if name not in known]
    found = []
    for name in names:
        field = known.get(name)
        marks = [] if field is None else field.metadata
        is_personal = any(isinstance(mark, PersonalMark) or mark is PersonalMark for mark in marks)
        title = None if field is None else field.title
        help_text = None if field is None else field.description
        found.append(CaseField(title or as_title(name), help_text, as_read(data[name]), is_personal))
    return found


def fields_of_result(result: Mapping[str, object] | None) -> list[CaseField]:
    """What came of it."""
    return [CaseField(as_title(name), None, as_read(value)) for name, value in (result or {}).items()]


def fields_of_answer(answer: object, question: Mapping[str, object] | None) -> list[CaseField]:
    """What was answered: one of the choices, or the fields of a form by the titles they were asked with."""
    if not isinstance(answer, dict):
        return [] if answer is None else [CaseField("Answer", None, as_read(answer))]
    form = (question or {}).get("form")
    asked = form.get("properties", {}) if isinstance(form, dict) else {}
    titles = {name: one.get("title") for name, one in asked.items() if isinstance(one, dict)}
    return [CaseField(titles.get(name) or as_title(name), None, as_read(one)) for name, one in answer.items()]


def as_title(name: str) -> str:
    """A field's name as a title: `weekly_rent` is "Weekly rent"."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def as_read(value: object) -> str | None:
    """A value as a person reads it; None for an empty one."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, str):
        return _day(value) or value
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(value, indent=2, ensure_ascii=False)


def _day(text: str) -> str | None:
    """An ISO date in words; None for any other text."""
    if len(text) != len("2026-04-06"):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return f"{day.day} {day:%B} {day.year}"
