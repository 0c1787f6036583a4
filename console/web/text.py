"""Text that came from outside, made safe to show: nothing hidden in it, nothing that turns what is around it."""

import unicodedata

from markupsafe import Markup, escape

FOLDED = 600
"""Characters that are shown as they are; what is longer is folded behind its beginning."""
BEGINNING = 200

KEPT = "\n\t"
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNSEEN = frozenset("\u00ad\u200b\u2028\u2029\u2060\ufeff")


def visible(value: object) -> object:
    """What a template puts out, with every character that would not be seen shown as its number.

    Markup is left as it is: it was made here.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if value.isascii() and value.isprintable():
        return value
    return "".join(_seen(one) for one in value.replace("\r\n", "\n"))


def shown(value: object) -> Markup:
    """A value of a case: kept apart from the direction of the text around it, and folded when it is long."""
    text = str(visible("" if value is None else str(value)))
    if len(text) <= FOLDED:
        return Markup('<bdi class="app-data">{}</bdi>').format(text)
    return Markup(
        '<details class="govuk-details app-folded"><summary class="govuk-details__summary">'
        '<span class="govuk-details__summary-text"><bdi class="app-data">{}…</bdi> ({} characters: show all)</span>'
        '</summary><div class="govuk-details__text"><bdi class="app-data">{}</bdi></div></details>'
    ).format(text[:BEGINNING], f"{len(text):,}", text)


def as_typed(value: object) -> Markup:
    """A value in the field in which a person types: exactly as it is, since it is sent again as it stands there."""
    text = str("" if value is None else value).replace("\0", "")
    # A first line that is empty would be swallowed.
    return escape(f"\n{text}" if text.startswith("\n") else text)


def one_line(value: object, longest: int = 80) -> str:
    """A value as part of a title or a link: one line, cut when it is long."""
    text = " ".join(str(visible("" if value is None else str(value))).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def as_list(values: list[object]) -> Markup:
    """Values one under the other."""
    return Markup("<br>").join(escape(visible(value)) for value in values)


def _seen(one: str) -> str:
    if one in KEPT:
        return one
    if one in TURNING or one in UNSEEN or unicodedata.category(one) in ("Cc", "Cs", "Co", "Cn"):
        return f"[U+{ord(one):04X}]"
    return one
