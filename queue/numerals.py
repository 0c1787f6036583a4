"""Numerals: the text that a spreadsheet shows for a number under a number format."""

import re
from decimal import Decimal
from functools import lru_cache

_LITERAL = r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|(?P<plain>[- ()+])'
_TOKEN = re.compile(rf"{_LITERAL}|(?P<digit>[0#])|(?P<point>\.)|(?P<ignored>\[(?:[A-Za-z]+|\$-[^\]]*)\])")
_NOT_MEANT = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')


def oddity(number_format: str) -> str | None:
    """What makes the number look like another than it is: a percentage, an exponent or a fraction."""
    return _oddity(number_format)


def shown(number: Decimal, number_format: str) -> str | None:
    """The text shown for the number; None where the format rounds it, groups it or cannot be followed."""
    sections = number_format.split(";")
    if (number < 0 and len(sections) > 1) or (number == 0 and len(sections) > 2):
        return None
    if sections[0] in ("General", "@", ""):
        return format(number, "f")
    tokens = _tokens(sections[0])
    if tokens is None:
        return None
    text = (_filled(abs(number), tokens) or "").strip()
    return f"-{text}" if text and number < 0 else text or None


@lru_cache(maxsize=1000)
def _oddity(number_format: str) -> str | None:
    meant = _NOT_MEANT.sub("", number_format.split(";")[0])
    if "%" in meant:
        return "a percentage"
    if re.search("[eE][-+]", meant):
        return "a number with an exponent"
    return "a fraction" if "/" in meant else None


@lru_cache(maxsize=1000)
def _tokens(section: str) -> tuple[tuple[str, str], ...] | None:
    """The parts of a format: literals, digit places, one point; None where there is anything else."""
    tokens: list[tuple[str, str]] = []
    end = 0
    while end < len(section):
        found = _TOKEN.match(section, end)
        if found is None:
            return None
        kind = found.lastgroup or ""
        if kind in ("digit", "point"):
            tokens.append((kind, found[kind]))
        elif kind != "ignored":
            tokens.append(("literal", found[kind]))
        end = found.end()
    points = [kind for kind, _ in tokens].count("point")
    return tuple(tokens) if points <= 1 and ("digit" in dict(tokens)) else None


def _filled(number: Decimal, tokens: tuple[tuple[str, str], ...]) -> str | None:
    kinds = [kind for kind, _ in tokens]
    point = kinds.index("point") if "point" in kinds else len(tokens)
    whole, _, fraction = format(number.normalize(), "f").partition(".")
    left = _whole_part(whole, tokens[:point])
    right = _fraction_part(fraction, tokens[point + 1 :])
    if left is None or right is None:
        return None
    return left + ("." if point < len(tokens) else "") + right


def _whole_part(digits: str, tokens: tuple[tuple[str, str], ...]) -> str | None:
    """Digits fill the places from the right; those that are left over stand before the first place."""
    places = [number for number, (kind, _) in enumerate(tokens) if kind == "digit"]
    if not places:
        return None
    rest = digits.lstrip("0")
    parts: list[str] = []
    for number in range(len(tokens) - 1, -1, -1):
        kind, text = tokens[number]
        if kind == "literal":
            parts.append(text)
        elif number == places[0]:
            parts.append(rest or text.replace("#", ""))
        else:
            parts.append(rest[-1:] or text.replace("#", ""))
            rest = rest[:-1]
    return "".join(reversed(parts))


def _fraction_part(digits: str, tokens: tuple[tuple[str, str], ...]) -> str | None:
    """Digits fill the places from the left; a digit without a place would be rounded away."""
    parts: list[str] = []
    for kind, text in tokens:
        if kind == "literal":
            parts.append(text)
        else:
            parts.append(digits[:1] or text.replace("#", ""))
            digits = digits[1:]
    return None if digits else "".join(parts)
