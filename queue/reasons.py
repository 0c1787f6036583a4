"""Reasons: what pydantic found, in plain English and without the value, since reasons are kept in clear."""

import re
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from pydantic_core import ErrorDetails

_REASONS: Mapping[str, str] = {
    "missing": "is empty",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have no more than {max_length} characters",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be no more than {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "decimal_max_digits": "must have no more than {max_digits} digits",
    "decimal_max_places": "must have no more than {decimal_places} decimal places",
    "decimal_whole_digits": "must have no more than {whole_digits} digits before the point",
    "date_past": "must be in the past",
    "date_future": "must be in the future",
    "datetime_past": "must be in the past",
    "datetime_future": "must be in the future",
    "timezone_aware": "must name its time zone, such as 2026-04-06T09:30+01:00",
    "timezone_naive": "must not name a time zone",
}


def reason_for(error: ErrorDetails, examples: list[Any] | None = None) -> str:
    """End the sentence "the column …"; `examples` are the field's own, for a text of the wrong form."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        form = f"such as {examples[0]}" if examples else f"({context['pattern']})"
        return f"does not have the form that is expected {form}"
    if kind in ("value_error", "assertion_error"):
        return fixed_text(context.get("error")) or "breaks a rule of the workflow"
    if kind in _REASONS:
        return _REASONS[kind].format(**context)
    return f"does not fit: {kind.replace('_', ' ')}" if re.fullmatch(r"[a-z0-9_]+", kind) else "does not fit"


def fixed_text(error: object) -> str | None:
    """The message of an error, if it stands in the code that raised it word for word: then it can hold no value."""
    if not isinstance(error, Exception):
        return None
    text = str(error)
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if text in trace.tb_frame.f_code.co_consts:
            return text
        trace = trace.tb_next
    return None
