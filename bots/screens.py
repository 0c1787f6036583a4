"""What was recorded in a system, turned into screens of its bot: a start that a person edits.

What was typed becomes an argument and is not written down.
"""

from __future__ import annotations

import ast
import keyword
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote, urlsplit

from casehand.bots.call import (
    call_in,
    frame_of,
    label_of,
    locator_of,
    method_of,
    quoted,
    render,
    render_pair,
    texts_in,
    texts_of,
    window_of,
    within_frame,
)
from casehand.bots.names import GAP, NAME, WORD
from casehand.bots.personal import patterned

LONGEST_LINE = 110
FOUND_BY_CODE = "No user-facing locator was unique here: found by how the page is made"
FOUND_BY_PLACE = "Several look the same: found by its place among them"
OF_SEVERAL_WORDS = r"^[^\W\d_]+(?:[ +_-][^\W\d_]+)+$|@|(?i:[a-z]{2} ?\d{6} ?[a-d])"
HOLDS_A_VALUE = "Holds what this record showed: make it an argument"


@dataclass(frozen=True)
class Arrived:
    """A page, or a frame of one, came up."""

    window: int
    address: str
    is_frame: bool = False


@dataclass(frozen=True)
class Did:
    """The person did something: one statement, as Playwright's recorder writes it in Python."""

    code: str


@dataclass(frozen=True)
class Asked:
    """The page raised a dialog over what was done last."""

    text: str


Event = Arrived | Did | Asked


def write_screens(
    events: Iterable[Event], bot: str, module: str, known: Mapping[str, str] | None = None
) -> str:
    """A module with a subclass of `bot`, a class of `module`, that has a method for each page.

    `known` are texts that have an expression of their own, such as the account's user name.
    """
    earlier: dict[str, _Argument] = {}
    written = [_Method(page, known or {}, earlier) for page in _pages(events)]
    methods = _named([method for method in written if method.lines])
    body = "\n\n".join(methods) or '    """Nothing was done."""'
    return "\n".join([*_head(bot, module, body), body, ""])


def _head(bot: str, module: str, body: str) -> Iterator[str]:
    yield f'"""Screens of {bot}, as they were recorded: a start to be edited, and nothing in it is checked.'
    yield ""
    yield "What was typed has become arguments. What changes something belongs into a commit of the workflow."
    yield '"""'
    yield ""
    if "date" in body:
        yield from _if_used(body, r"\bdate\b", "from datetime import date")
    yield from _if_used(body, r"\bDecimal\b", "from decimal import Decimal")
    yield from _if_used(body, r"\bPath\b", "from pathlib import Path")
    yield ""
    yield from _if_used(body, r"\bPage\b", "from playwright.sync_api import Page\n")
    yield f"from {module} import {bot}"
    yield ""
    yield ""
    yield f"class Recorded{bot}({bot}):"


def _if_used(body: str, pattern: str, line: str) -> Iterator[str]:
    if re.search(pattern, re.sub(r'"[^"\n]*"|#.*', "", body)):
        yield line


@dataclass(frozen=True)
class _Argument:
    """What a typed text has become."""

    name: str
    kind: str
    written: str  #: how it is written into the box, with the name to be put in

    @property
    def expression(self) -> str:
        return self.written.format(self.name)


@dataclass
class _Page:
    """What was done on one page, until another came up in its window."""

    window: str
    address: str
    done: list[tuple[ast.Call, str, list[str]]] = field(default_factory=list)
    """Each call, the window that it opened, and the dialogs it raised."""


def _pages(events: Iterable[Event]) -> Iterator[_Page]:
    shown: dict[str, str] = {}
    now: _Page | None = None
    for event in events:
        match event:
            case Arrived(number, address):
                shown[_window(number)] = address
                if now is not None and now.window == _window(number):
                    yield now
                    now = None
            case Did(code):
                call, opened = call_in(code)
                if call is None:
                    continue
                window = window_of(call)
                if now is None or now.window != window:
                    if now is not None:
                        yield now
                    now = _Page(window, shown.get(window, ""))
                now.done.append((call, opened, []))
            case Asked(text):
                if now is not None and now.done:
                    now.done[-1][2].append(text)
    if now is not None:
        yield now


def _window(number: int) -> str:
    return f"page{number or ''}"


class _Method:
    """One method of the bot: what was done on one page."""

    def __init__(self, page: _Page, known: Mapping[str, str], earlier: dict[str, _Argument]) -> None:
        self.page = page
        self.known = known
        self.earlier = earlier  #: what was typed on this page and those before, by the text
        self.arguments: dict[str, str] = {}  #: name to annotation
        self.lines: list[str] = []
        self.opens = ""
        telling = list(self._telling())
        self.frame = next((frame for call, _, _ in telling if (frame := frame_of(locator_of(call)))), "")
        for call, opened, asked in telling:
            self.lines += self._statement(call, opened, asked)
        if any("frame." in line for line in self.lines):
            self.lines.insert(0, f"frame = {self._start()}{self.frame.removeprefix(self.page.window)}")

    @property
    def name(self) -> str:
        """Its page's, by the address."""
        path = re.sub(r"\.\w{2,5}$", "", _place(self.page.address))
        words = [word for word in re.split(r"[^A-Za-z]+", path) if word]
        return "on_" + ("_".join(words).lower() or "start")

    def text(self, name: str) -> str:
        """Its code."""
        window = {"window": "Page"} if self.page.window != "page" else {}
        given = {**window, **self.arguments}
        arguments = "".join(f", {name}: {kind}" for name, kind in given.items())
        path = re.sub(r"\d+", "…", _place(self.page.address)) or "/"
        returns = "Page" if self.opens else "None"
        lines = [f"def {name}(self{arguments}) -> {returns}:", f'    """At {path}, as it was recorded."""']
        lines += [f"    {line}" for line in self.lines]
        if self.opens:
            lines.append("    return opening.value")
        return textwrap.indent("\n".join(lines), "    ")

    def _telling(self) -> Iterator[tuple[ast.Call, str, list[str]]]:
        """What was done, without the clicks and tabs that only led into a box."""
        done = self.page.done
        for place, (call, opened, asked) in enumerate(done):
            following = done[place + 1][0] if place + 1 < len(done) else None
            if method_of(call) == "press" and texts_of(call) == ["Tab"]:
                continue
            led_in = following is not None and method_of(call) == "click" and method_of(following) != "click"
            if (
                led_in
                and following is not None
                and ast.dump(locator_of(call)) == ast.dump(locator_of(following))
            ):
                continue
            yield call, opened, asked

    def _statement(self, call: ast.Call, opened: str, asked: list[str]) -> Iterator[str]:
        method, values = method_of(call), texts_of(call)
        if method == "goto":
            address = values[0] if values else ""
            yield "# You went there by its address: see whether a link leads there"
            path = urlsplit(address).path.lstrip("/")
            if re.search(r"\d", path) or _place(address) != urlsplit(address).path:
                yield f"# {HOLDS_A_VALUE}"
            yield f"self.page.goto(self.url + {quoted(path)})"
            return
        locator = self._rendered(locator_of(call))
        given = self._given(call, method, values)
        yield from (f"# {remark}" for remark in self._remarks(locator_of(call)))
        statement = f"{locator}.{method}({given})"
        managers = [f"self.confirming({self._message(text)})" for text in asked]
        if opened:
            self.opens = opened
            managers.append("self.page.expect_popup() as opening")
        if managers:
            yield f"with {', '.join(managers)}:"
            yield f"    {statement}"
        else:
            yield statement

    def _given(self, call: ast.Call, method: str, values: list[str]) -> str:
        """What the action is given: what was typed or chosen as an argument, all else as it was."""
        if method in ("fill", "select_option", "set_input_files") and values:
            return ", ".join(self._argument(method, value, locator_of(call)) for value in values[:1]) + (
                "" if len(values) == 1 else f"  # and {len(values) - 1} more were chosen"
            )
        return ", ".join(
            [render(argument) for argument in call.args] + [render_pair(pair) for pair in call.keywords]
        )

    def _argument(self, method: str, value: str, locator: ast.expr) -> str:
        if value in self.known:
            return self.known[value]
        label = label_of(locator)
        if re.search(r"passw", label + render(locator), re.IGNORECASE):
            return "self.account.password.get_secret_value()"
        kind, written = _kind_of(value) if method == "fill" else ("str", "{}")
        if method == "set_input_files":
            kind = "Path"
        name = _identifier(label)
        while name in self.arguments and self.earlier.get(value) != _Argument(name, kind, written):
            name = _next(name)
        self.arguments[name] = kind
        argument = _Argument(name, kind, written)
        if value:
            self.earlier[value] = argument
        return argument.expression

    def _start(self) -> str:
        return "self.page" if self.page.window == "page" else "window"

    def _rendered(self, locator: ast.expr) -> str:
        known = dict(self.known)
        for text in texts_in(within_frame(locator)):
            if text in self.earlier:
                known[text] = self._again(text)
        written = render(locator, known)
        if self.frame and written.startswith(f"{self.frame}."):
            return f"frame{written.removeprefix(self.frame)}"
        return re.sub(r"^page\d*", self._start(), written)

    def _again(self, text: str) -> str:
        """The argument for a text that was typed, here or on a page before."""
        argument = self.earlier[text]
        self.arguments.setdefault(argument.name, argument.kind)
        return argument.expression

    def _message(self, text: str) -> str:
        for value in sorted(self.earlier, key=len, reverse=True):
            if len(value) > 1 and value in text:
                inner = self._again(value).removeprefix('f"{').removesuffix('}"')
                return "f" + quoted(text.replace(value, f"{{{inner}}}"))
        return quoted(_before_a_value(text))

    def _remarks(self, locator: ast.expr) -> Iterator[str]:
        written = render(within_frame(locator))
        if ".locator(" in written:
            yield FOUND_BY_CODE
        if re.search(r"\.(nth\(|first\b|last\b)", written):
            yield FOUND_BY_PLACE
        texts = (text for text in texts_in(within_frame(locator)) if text not in self.earlier)
        if ".locator(" not in written and any(_may_be_of_one_case(text) for text in texts):
            yield HOLDS_A_VALUE


def _named(methods: list[_Method]) -> list[str]:
    """Their code, each under a name of its own; what was done twice in the same way is written once."""
    written: dict[str, str] = {}
    for method in methods:
        name = method.name
        while name in written and written[name] != method.text(name):
            name = _next(name)
        written[name] = method.text(name)
    return list(written.values())


def _next(name: str) -> str:
    base, number = re.fullmatch(r"(.*?)(?:_(\d+))?", name).groups()  # type: ignore[union-attr]
    return f"{base}_{int(number or 1) + 1}"


def _kind_of(value: str) -> tuple[str, str]:
    """The type that a typed text looks like, and how an argument of that type is written into the box."""
    for pattern, kind, written in (
        (r"\d\d/\d\d/\d{4}", "date", 'f"{{{}:%d/%m/%Y}}"'),
        (r"\d{4}-\d\d-\d\d", "date", "{}.isoformat()"),
        (r"\d+\.\d\d", "Decimal", 'f"{{{}:.2f}}"'),
    ):
        if re.fullmatch(pattern, value) and (kind != "date" or _is_day(value)):
            return kind, written
    return "str", "{}"


def _is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%d/%m/%Y" if "/" in text else "%Y-%m-%d")  # noqa: DTZ007  a date has no zone
    except ValueError:
        return False
    return True


def _identifier(label: str) -> str:
    name = "_".join(re.findall(r"[a-z0-9]+", label.lower())[:5])
    if not name or name[0].isdigit():
        name = f"value_{name}".rstrip("_")
    return f"{name}_" if keyword.iskeyword(name) or name in ("self", "window", "date") else name


def _before_a_value(text: str) -> str:
    """The beginning of a message, up to the first word that may be of one case only."""
    # A name begins in upper case, as the message itself does.
    return re.split(rf"\s*\S*\d|(?<=\S)\s+(?={WORD})", text, maxsplit=1)[0] or text


def _may_be_of_one_case(text: str) -> bool:
    """Whether a text holds a number, or words that are written as a name is."""
    if re.search(r"\d", text) or any(True for _ in patterned(text)):
        return True
    return re.search(rf"{WORD}(?:{GAP}|,{GAP}){NAME}", text) is not None


def _place(address: str) -> str:
    """The path of an address, without the parts that may be called after somebody: `/person/quentin-specimen`."""
    parts = unquote(urlsplit(address).path).split("/")
    return "/".join("…" if re.search(OF_SEVERAL_WORDS, part) else part for part in parts)
