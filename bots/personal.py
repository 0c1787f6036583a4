"""What is personal in what a system showed: by what it looks like, and by the label that it stands behind."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casehand.bots.names import GAP, PARTICLE, TITLED, UPPER, WORD, name_at_start

STREETS = (
    "Street|Road|Avenue|Lane|Close|Drive|Court|Way|Place|Gardens|Crescent|Terrace|Hill|Square|Grove|Park|Row|Walk"
    "|Mews|Green|View|Rise|House|Flats"
)
HOUSES = "Cottage|Farm|Lodge|Barn|Mill|Hall|Villa|Manor|Bungalow|Lodgings|Hotel|Hostel|Grange|Vicarage|Old"
PLACE = rf"{WORD}(?: {WORD})*"

PATTERNS: dict[str, str] = {
    "e-mail": r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "National Insurance number": (
        r"(?i)(?<![A-Z0-9])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
        r"(?:[ ]?\d{2}){3}[ ]?[A-D](?![A-Z0-9])"
    ),
    "reference": r"(?<![A-Za-z0-9])[A-Z]{2,4}-?\d{5,10}(?![A-Za-z0-9])",
    "address": rf"(?:(?:Flat|Unit|Room) \w+, )?\d{{1,4}}[A-Za-z]? (?:{WORD} )+(?:{STREETS})(?:, {PLACE})*",
    # In lower case only with its blank: without one it may be a part of any key.
    "postcode": (
        r"(?<![A-Za-z0-9])(?:[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[ABD-HJLNP-UW-Z]{2}"
        r"|[A-Za-z]{1,2}\d[A-Za-z\d]?[ ]\d[abd-hjlnp-uw-zABD-HJLNP-UW-Z]{2})(?![A-Za-z0-9])"
    ),
    "phone number": r"(?<![\w.])(?:\+44[ ]?|0)\d{2,4}[ -]?\d{3,4}[ -]?\d{3,4}(?![\w.])",
    "sort code": r"(?<![\w-])\d{2}-\d{2}-\d{2}(?![\w-])",
    "account number": r"(?<![\w.,/-])\d{7,12}(?![\w.,/-])",
    "name": TITLED,
}
"""What looks like a person's wherever it stands, the surest first."""

SURE = ("e-mail", "National Insurance number", "name")
"""What is a person's even in a script, which is full of numbers."""

ROLE = (
    r"(?:(?:joint |main |second |other |new |old )?(?:claimant|tenant|partner|landlord|customer|applicant|appointee"
    r"|resident|occupier|owner|payee|debtor|agent|spouse|employee|non-?dependant|dependant|child|executor"
    r"|bill payer|account holder|next of kin|liable(?: part(?:y|ies)| persons?)?))"
)
NAME_LABEL = r"names?"
SURE_NAME_LABEL = (
    r"(?:full |first |last |middle |family |given |christian |maiden |previous |former )names?|surname|fore-?names?"
    rf"|{ROLE}(?:['\u2019]?s)? (?:(?:full |first |last )?name|surname|fore-?names?)|names? of (?:the )?{ROLE}"
)
LABELS: dict[str, str] = {
    "name": rf"{NAME_LABEL}|{SURE_NAME_LABEL}|{ROLE}",
    "address": (
        rf"(?:full |home |current |new |old |previous |property |forwarding |postal |contact |{ROLE}(?:['\u2019]?s)? )?"
        r"address(?: line)?(?: \d)?|property"
    ),
    "postcode": r"post ?code",
    "phone number": r"(?:tele)?phone(?: number)?|mobile(?: number)?",
    "e-mail": r"e-?mail(?: address)?",
    "National Insurance number": r"ni(?:no)?|national insurance(?: number)?",
    "date of birth": r"date of birth|dob|born",
    "account number": r"(?:bank )?account(?: number)?",
    "sort code": r"sort ?code",
}
"""What the value beside such a label is."""

LEAST_DIGITS = {
    "postcode": 1,
    "phone number": 5,
    "National Insurance number": 5,
    "date of birth": 5,
    "account number": 5,
    "sort code": 5,
}

HEADINGS = frozenset(
    (  # noqa: SIM905
        "status date type amount reference number title from to yes no none unknown true false null n/a start end "
        "details rent award allowance balance period role action actions charge charges notes reason known select "
        "required optional live ended find search continue history recorded given applicable found code band class"
    ).split()
)
"""Last words of what stands beside a label and is no value: another head of the table, a button, an empty value."""

LONGEST = 120
LONGEST_NAME = 60
PREFIXES = frozenset("txt tb str fld inp hid lbl frm edit ddl sel cbo data f p h in".split())  # noqa: SIM905
"""How programmers begin the names of boxes."""

Found = tuple[str, str]
"""A kind, and the text."""


def patterned(text: str) -> Iterator[Found]:
    """What looks personal wherever it stands."""
    taken: list[tuple[int, int]] = []
    for kind, pattern in PATTERNS.items():
        for match in re.finditer(pattern, text):
            if kind == "account number" and _is_compact_day(match[0]):
                continue
            if not any(start < match.end() and match.start() < end for start, end in taken):
                taken.append(match.span())
                yield kind, match[0]


def surely_personal(text: str) -> Iterator[Found]:
    """What is personal even among the numbers of a script, and in bytes that are no text."""
    for kind in SURE:
        yield from ((kind, match[0]) for match in re.finditer(PATTERNS[kind], text))


def labelled(text: str, is_code: bool = False) -> Iterator[Found]:
    """What stands after a label: `Surname<tab>Alder`, on a line of its own, or `"surname": "Alder"`.

    In code `name` alone is no label: everything has one there.
    """
    for kind, label in LABELS.items():
        quoted = r"(?:\\?[\"'])?"
        for match in re.finditer(
            rf"(?im)(?:^|[\t\"',;.({{]) ?({_loosely(label)}) ?{quoted}\s*[:\t]\s*"
            rf"(?:\\?'([^'\n<>\\]{{2,{LONGEST}}})'|(?:\\?\")?([^\t\n\"<>\\]{{2,{LONGEST}}}))",
            text,
        ):
            if not (is_code and re.fullmatch(NAME_LABEL, match[1], re.IGNORECASE)):
                yield from _behind(kind, match[1], (match[2] or match[3]).strip())


def fielded(label: str, value: str) -> Iterator[Found]:
    """What a field of this name holds: a form's, a box's, or one of JSON. It is surely a value, and taken whole."""
    plain = _as_label(label)
    for kind, pattern in LABELS.items():
        if re.fullmatch(_loosely(pattern), plain, re.IGNORECASE):
            for line in filter(None, map(str.strip, value.splitlines())):
                yield from _whole(kind, plain, line)
            return


def _behind(kind: str, label: str, value: str) -> Iterator[Found]:
    if _is_heading(value):
        return
    if kind == "name":
        for one in re.split(r"\s+(?:and|&)\s+", value):
            name = _name_behind(label, one)
            if name and not _is_heading(name):
                yield kind, name
    elif kind == "address":
        # A property is often given with its reference, which is nobody's.
        is_property = label.casefold() == "property"
        if _is_place(value) or (re.search(r"\d", value) and " " in value and not is_property):
            yield kind, value
    elif _has_form(kind, value):
        yield kind, value


def _name_behind(label: str, value: str) -> str:
    name = name_at_start(value)
    rest = value[len(name) :]
    if not name:
        is_one_word = re.fullmatch(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*", value)
        return value if is_one_word and _is_sure(label) else ""
    if " " in name or "\u00a0" in name:
        return name
    # A role has a name of more than one word: another head of the table stands beside it, too.
    return name if not _is_role(label) and re.match(r"$|[,.;()\[\]/|]", rest) else ""


def _whole(kind: str, label: str, value: str) -> Iterator[Found]:
    if _is_heading(value) or len(value) > LONGEST or "://" in value:
        return
    if kind == "name" and _is_sure(label):
        if re.search(r"[^\W\d_]", value) and len(value) <= LONGEST_NAME:
            yield kind, value
    elif kind == "address" and label != "property":
        if " " in value and re.search(r"[^\W\d_]", value):
            yield kind, value
    else:
        yield from _behind(kind, label, value)


def _is_sure(label: str) -> bool:
    return re.fullmatch(_loosely(SURE_NAME_LABEL), label, re.IGNORECASE) is not None


def _is_role(label: str) -> bool:
    return re.fullmatch(_loosely(ROLE), label, re.IGNORECASE) is not None


def _loosely(label: str) -> str:
    return label.replace(" ", "[ _-]?")


def _as_label(name: str) -> str:
    """The words of a box's name or of a label: `ctl00$main$txtSurname` is a surname."""
    if " " not in name.strip():
        name = ([part for part in re.split(r"[$.:/\[\]]", name) if part] or [""])[-1]
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\s-]+", " ", re.sub(r"\(.*?\)|[*:]", " ", name)).lower().split()
    if len(words) > 1 and words[0] in PREFIXES:
        words = words[1:]
    return re.sub(r"\s*\d+$", "", " ".join(words))


def _is_heading(value: str) -> bool:
    words = re.findall(r"[^\W_]+(?:/[^\W_]+)?", value.casefold())
    return (
        not words
        or words[-1] in HEADINGS
        or any(re.fullmatch(label, value, re.IGNORECASE) for label in LABELS.values())
    )


def _is_place(value: str) -> bool:
    """Whether it reads like a house without a number: `Rose Cottage, Mill Road`."""
    word = rf"(?:[{UPPER}][\w'\u2019-]+|of|the|upon|on|in|by|next|under|le|{PARTICLE})"
    says_where = re.search(rf",|\b(?:{STREETS}|{HOUSES})\b", value)
    return says_where is not None and re.fullmatch(rf"{word}(?:,?{GAP}{word}|,{word})+", value) is not None


def _has_form(kind: str, value: str) -> bool:
    if kind == "e-mail":
        return "@" in value
    return len(re.findall(r"\d", value)) >= LEAST_DIGITS[kind]


def _is_compact_day(text: str) -> bool:
    return re.fullmatch(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", text) is not None
