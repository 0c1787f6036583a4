"""Rendering: templates into pages, with the words for times and the marks for what is live."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.console.listing import counted
from casehand.console.rights import Right, may, workflows_with
from casehand.console.web.address import address as address
from casehand.console.web.fields import as_read
from casehand.console.web.moments import day_in_words, in_words, seconds_in_words, span_in_words
from casehand.console.web.navigation import navigation
from casehand.console.web.paths import case_path
from casehand.console.web.site import Site
from casehand.console.web.story import step_in_words
from casehand.console.web.text import as_typed, one_line, shown, visible
from casehand.console.web.way import way

STATIC = Path(__file__).parent / "static"
PAUSED_COOKIE = "casehand-live"
PLURALS = {"batch": "batches", "entry": "entries"}


def render(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page. `errors`, by the name of the field, are what a person has to put right in a form."""
    site: Site = request.app.state.site
    context = {
        "request": request,
        "person": getattr(request.state, "person", None),
        "now": site.ledger.clock(),
        "errors": {},
        "page": {"has_live_parts": False},
        "is_live": request.cookies.get(PAUSED_COOKIE) != "paused",
        **values,
    }
    text = templates().get_template(template).render(context)
    # What no browser could read is replaced: one wrong character must not take a page away.
    return Response(text.encode("utf-8", "replace"), status, media_type="text/html")


def see(request: Request, name: str, /, **where: Any) -> Response:
    """Go on to another page, as after something was done; `where` fills its path."""
    return RedirectResponse(request.app.url_path_for(name, **where), 303)


def is_live_request(request: Request) -> bool:
    """Whether a page asks by itself, since something has changed, and not a person."""
    return request.headers.get("casehand-live") == "yes" or request.url.path == "/events"


@cache
def templates() -> Environment:
    """The templates, ours and those of GOV.UK's components."""
    ours = PackageLoader("casehand.console.web")
    theirs = PrefixLoader({"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")})
    environment = Environment(
        loader=ChoiceLoader([ours, theirs]),
        autoescape=True,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "when": _when,
        "day": _day,
        "clock": _clock,
        "age": _age,
        "ago": _ago,
        "span": span_in_words,
        "data": shown,
        "typed": as_typed,
        "one_line": one_line,
        "count": count,
        "number": lambda number: f"{number:,}",
        "sentence": _sentence,
        "as_read": as_read,
        "step": step_in_words,
        "error_list": error_list,
        "case_path": case_path,
        "segment": lambda text: quote(text, safe=""),
    }
    environment.globals |= {
        "asset": asset,
        "address": address,
        "live": _live,
        "path": _path,
        "may": _may,
        "navigation": _navigation,
        "may_somewhere": _may_somewhere,
        "Right": Right,
        "version": version("casehand"),
        "way": way,
    }
    return environment


@cache
def asset(name: str) -> str:
    """The address of a static file, which changes when the file does, so that browsers may keep it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


def count(number: int, noun: str) -> str:
    """A number with its noun: 1 case, 2,500 cases."""
    if number == 1:
        return counted(1, noun)
    return f"{number:,} {PLURALS.get(noun, f'{noun}s')}"


def error_list(errors: Mapping[str, str | Sequence[str]]) -> list[dict[str, str]]:
    """Errors as GOV.UK's error summary takes them, each a link to its field."""
    return [
        {"text": text, "href": f"#{name}"}
        for name, texts in errors.items()
        for text in ([texts] if isinstance(texts, str) else texts)
    ]


@pass_context
def _when(context: Context, moment: datetime | None, zone: ZoneInfo | None = None) -> Markup:
    return _time(context, moment, in_words, zone)


@pass_context
def _day(context: Context, moment: datetime | None) -> Markup:
    return _time(context, moment, day_in_words)


@pass_context
def _clock(context: Context, moment: datetime | None) -> Markup:
    """The time of day, to the second: for what happened within a minute."""
    return _time(context, moment, seconds_in_words)


def _time(context: Context, moment: datetime | None, words: Any, zone: ZoneInfo | None = None) -> Markup:
    if moment is None:
        return Markup("")
    text = words(moment, zone or _site(context).zone)
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), text)


@pass_context
def _age(context: Context, moment: datetime) -> str:
    """How long it is since then."""
    return span_in_words(max(context["now"] - moment, timedelta()))


@pass_context
def _ago(context: Context, moment: datetime) -> str:
    """How long ago it was, or how long it is until then."""
    until = moment - context["now"]
    return f"in {span_in_words(until)}" if until > timedelta() else f"{span_in_words(-until)} ago"


@pass_context
def _live(context: Context, part: str) -> Markup:
    """The attributes of a part of a page that is fetched anew when the ledger has changed."""
    context["page"]["has_live_parts"] = True
    return Markup(
        'data-hx-get="{}" data-hx-select="#{}" data-hx-swap="outerMorph" data-hx-sync="this:drop" '
        'data-hx-headers=\'{{"Casehand-Live": "yes"}}\' data-hx-trigger="changed from:body"'
    ).format(address(context["request"]), part)


@pass_context
def _path(context: Context, name: str, /, **where: Any) -> str:
    """The path of a page by the name of its function."""
    return str(context["request"].app.url_path_for(name, **where))


@pass_context
def _navigation(context: Context) -> list[dict[str, object]]:
    return navigation(context["request"])


@pass_context
def _may(context: Context, right: Right, workflow: str | None = None) -> bool:
    return context["person"] is not None and may(context["person"], right, workflow)


@pass_context
def _may_somewhere(context: Context, right: Right) -> bool:
    person = context["person"]
    return person is not None and workflows_with(person, right) != frozenset()


def _sentence(text: str) -> str:
    """A reason, as a sentence begins."""
    return text[:1].upper() + text[1:]


def _site(context: Context) -> Site:
    site: Site = context["request"].app.state.site
    return site
