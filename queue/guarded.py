"""Guarded text: a value that no spreadsheet takes for a formula when it opens the file that holds it."""

import unicodedata

MARK = "'"
"""What stands before such a value: a spreadsheet shows the rest as text."""

_BEGIN_FORMULAS = frozenset("=+-@|%\t\r\n")


def guarded(text: str) -> str:
    """The text, with a mark before it when a spreadsheet might take it for a formula; `unguarded` undoes it."""
    return MARK + text if text.startswith(MARK) or is_formula(text) else text


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    rest = text.removeprefix(MARK)
    return rest if rest != text and guarded(rest) == text else text


def is_formula(text: str) -> bool:
    """Whether some spreadsheet would take a cell with this text for a formula."""
    if text[:1] in _BEGIN_FORMULAS:
        return bool(text)
    # Some spreadsheets leave out blanks and what cannot be seen before they look, and take wide forms for plain ones.
    first = next((one for one in text if not _is_passed_over(one)), "")
    return bool(first) and unicodedata.normalize("NFKC", first)[0] in _BEGIN_FORMULAS


def _is_passed_over(one: str) -> bool:
    return one.isspace() or unicodedata.category(one) in ("Cf", "Cc")
