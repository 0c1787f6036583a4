"""How the names of people are written: behind a title, in capitals, with initials, with the surname first."""

from __future__ import annotations

import re

UPPER = "".join(filter(str.isupper, map(chr, range(0x2000))))
"""The upper-case letters of all scripts that have them."""

LETTER = r"(?:[^\W\d_]|[\u0300-\u036F])"
GAP = r"[ \u00A0]{1,2}"

TITLE = (
    r"(?:Mrs|Mr|Ms|Miss|Mx|Dr|Rev|Prof|Sir|Dame|MRS|MR|MISS|MX|REV|PROF|SIR|DAME"
    # Also milliseconds, debits and a maker of software.
    r"|(?<!\d )(?:DR|MS(?! (?:Windows|Word|Office|Edge|Internet|Excel|SQL|Outlook|Teams|Access)\b))"
    # In lower case the others are words of their own.
    r"|mrs|mr|(?<!\d )(?:mx|dr|ms))"
)

NO_NAMES = (
    "mrs mr ms miss mx dr rev prof sir dame of and the is has was at in on to for from with not by who flat tel ref "
    "nino date dob status claim address account postcode telephone email landlord claimant"
)
"""Words after which a name is over, in a text that is all in capitals or runs its cells together."""

WORD = (
    rf"(?!(?i:{NO_NAMES.replace(' ', '|')})(?!{LETTER}|['\u2019-]))"
    rf"(?:d['\u2019]|(?:al|el|ap|ter)-)?[{UPPER}](?:{LETTER}|['\u2019-](?={LETTER}))*"
)
PARTICLE = r"(?:van|von|der|den|de|del|della|di|da|dos|du|la|le|al|el|bin|ibn|ap|ter|ten|O['\u2019])"
INITIALS = rf"(?:[{UPPER}]\.)+"

NAME = rf"(?:(?:{INITIALS}{GAP}|{INITIALS}|{PARTICLE}{GAP}){{0,3}}{WORD}{GAP}){{0,3}}" + (
    rf"(?:{INITIALS}{GAP}|{INITIALS}|{PARTICLE}{GAP}){{0,3}}{WORD}"
)
BEHIND_TITLE = rf"(?<!{LETTER}){TITLE}(?:\.[ \u00A0]?|{GAP})"
TITLED = rf"{BEHIND_TITLE}{NAME}"
SURNAME_FIRST = rf"{NAME},{GAP}(?:{TITLE}\.?{GAP})?{NAME}"


def name_at_start(text: str) -> str:
    """The name that a text begins with, however it is written; empty where it begins with none."""
    found = re.match(rf"(?:{SURNAME_FIRST}|{TITLED}|{NAME})", text)
    return found[0] if found else ""


def without_title(name: str) -> str:
    """The name alone, its words in the order in which they were written."""
    return re.sub(BEHIND_TITLE, "", name)


def parts(name: str) -> tuple[list[str], str]:
    """The words of a name that may stand alone elsewhere, and which of them is the surname."""
    surnames, comma, _ = without_title(name).partition(",")
    all_words = re.findall(rf"{LETTER}(?:{LETTER}|['\u2019-])*", without_title(name))
    words = [word for word in all_words if re.fullmatch(WORD, word) and len(word) >= SHORTEST]
    of_surname = [word for word in words if word in surnames] if comma else words
    return words, of_surname[-1] if of_surname else ""


SHORTEST = 3
"""Letters of a word that is replaced where it stands alone: shorter ones stand in every text."""
