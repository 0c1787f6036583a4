"""What a system answered, read without rendering it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cached_property, partial
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

from selectolax.lexbor import LexborHTMLParser, LexborNode

from casehand.exceptions import OutsideAddress, SessionExpired, SystemException

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, BrowserContext

MOST_REDIRECTS = 10
NOT_SIGNED_IN = 401
FIRST_ERROR = 400

AS_BROWSERS_READ = {"iso-8859-1": "windows-1252", "us-ascii": "windows-1252"}
"""What servers say of their encoding, and what browsers take it for."""

DECLARATION = "meta[charset], meta[http-equiv='content-type' i]"
WITHIN_A_LINE = (
    "a abbr b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q s samp small span strong sub "
    "sup time tt u var wbr"
)
PHRASES = frozenset(WITHIN_A_LINE.split())
NO_WORDS = frozenset({"script", "style", "template", "noscript", "head"})


class Reading:
    """A page as the system sent it, in the tree that a browser would build of it before any script has run."""

    def __init__(self, address: str, content: bytes, content_type: str = "text/html") -> None:
        self.address = address  #: where it came from, after redirects
        self.content = content
        self.html = _parsed(content, _charset(content_type))

    @cached_property
    def text(self) -> str:
        """All its words, whether or not a style would hide them."""
        return _words(self.html.root)

    @cached_property
    def rows(self) -> list[list[str]]:
        """The rows of all its tables, each as the texts of its cells."""
        return [
            [_words(cell) for cell in row.iter() if cell.tag in ("td", "th")] for row in self.html.css("tr")
        ]

    def links(self, words: str) -> list[str]:
        """Where all links with exactly these words lead."""
        return [
            urljoin(self.address, link.attributes.get("href") or "")
            for link in self.html.css("a[href]")
            if _words(link) == words
        ]

    @property
    def asks_to_sign_in(self) -> bool:
        """Whether it has a box for a password."""
        return self.html.css_first("input[type=password i]") is not None


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    address: str
    status: int
    headers: Mapping[str, str]
    content: bytes


Ask = Callable[[str, float], Answer]
"""Asks for an address, and waits so many seconds for its answer."""

_stand_ins: WeakKeyDictionary[BrowserContext, Ask] = WeakKeyDictionary()


def read_by(context: BrowserContext, ask: Ask) -> None:
    """Have a context's readings asked for so, as its pages are when they are played back from a recording."""
    _stand_ins[context] = ask


def asks_by(context: BrowserContext) -> Ask:
    """How a context's readings are asked for: of the system itself, unless something stands in for it."""
    return _stand_ins.get(context) or partial(_ask, context)


def fetch(context: BrowserContext, address: str, is_own: Callable[[str], bool], seconds: float) -> Reading:
    """Read an address with a browser context's cookies, which keeps to the addresses that are `is_own`.

    Raises OutsideAddress when it leads to another, SessionExpired when nobody is signed in there any more,
    and SystemException when the answer is an error.
    """
    for _ in range(MOST_REDIRECTS):
        if not is_own(address):
            raise OutsideAddress("an address to be read is outside the bot's own addresses")
        answer = asks_by(context)(address, seconds)
        onward = answer.headers.get("location")
        if onward is None:
            return _read(answer)
        address = urljoin(address, onward)
    raise SystemException("an address to be read leads on and on")


def _ask(context: BrowserContext, address: str, seconds: float) -> Answer:
    # The driver and not the browser asks: the wall around the browser does not stand around it.
    response: APIResponse = context.request.get(
        address, headers={"Accept": "text/html"}, max_redirects=0, timeout=seconds * 1000
    )
    answer = Answer(response.url, response.status, response.headers, response.body())
    response.dispose()
    return answer


def _read(answer: Answer) -> Reading:
    reading = Reading(answer.address, answer.content, answer.headers.get("content-type", ""))
    if answer.status == NOT_SIGNED_IN or reading.asks_to_sign_in:
        raise SessionExpired("the session had ended")
    if answer.status >= FIRST_ERROR:
        raise SystemException(f"the system answered with an error ({answer.status})")
    return reading


def _parsed(content: bytes, charset: str | None) -> LexborHTMLParser:
    if charset is not None:
        return LexborHTMLParser(content.decode(charset, errors="replace"))
    html = LexborHTMLParser(content, encoding=True)
    if html.css_first(DECLARATION) is None and not _is_utf8(content):
        return LexborHTMLParser(content.decode("windows-1252", errors="replace"))
    return html


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _charset(content_type: str) -> str | None:
    """The encoding that the answer's head names, by Python's name for it."""
    head = Message()
    head["Content-Type"] = content_type
    named = head.get_content_charset()
    if named is None:
        return None
    try:
        "".encode(named)
    except LookupError:
        return None
    return AS_BROWSERS_READ.get(named, named)


def _words(node: LexborNode | None) -> str:
    return "" if node is None else " ".join("".join(_pieces(node)).split())


def _pieces(node: LexborNode) -> Iterator[str]:
    for child in node.iter(include_text=True):
        if child.is_text_node:
            yield child.text_content or ""
        elif child.tag not in NO_WORDS:
            edge = "" if child.tag in PHRASES else " "
            yield edge
            yield from _pieces(child)
            yield edge
