"""Every route, driven with generated input by everybody: no fault, and nothing done or shown that may not be.

Hypothesis makes the requests, and makes one smaller that fails; what is asked of each stands in `stage.py`. The run
of every day is bounded, and the same each time; GENERATED=200 tries as many for each route and person, at random.
"""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from time import sleep  # noqa: TID251 — nothing tells when a request is over that nobody answers
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import structlog
from deeds import BOUNDARY, DEEDS, FORM, PERMITS, filled_in, names_of, request_for, upload_for
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from samples import PERMIT, RENT, hostile
from stage import ELSEWHERE, SECRETS, Stage, staged
from starlette.routing import Route
from wire import Sent, same_site

from casehand.console.actions import Action
from casehand.console.rights import Role
from casehand.console.web.app import FAMILIES

TRIES = int(os.environ.get("GENERATED", "6"))
SETTINGS = settings(
    max_examples=TRIES,
    deadline=None,
    database=None,
    derandomize="GENERATED" not in os.environ,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
SETTLES_SECONDS = 0.5
PEOPLE = (*((str(role),) for role in Role), ("supervisor", PERMIT), ("nobody",))
ROUTES = [route for family in FAMILIES for route in family.routes if isinstance(route, Route)]
PART = re.compile(r"{(\w+)(?::(\w+))?}")

RAW = (
    "%",
    "%zz",
    "%ff%fe",
    "%00",
    "%0d%0aX-Made-Up:%201",
    "..%2f..%2f",
    "%2e%2e",
    "..",
    "a/b",
    "?",
    ";x=1",
    "%c3%28",
)
"""Ends of paths and queries that nobody has encoded properly."""
TEXTS = (
    *(text for name, text in hostile().items() if name != "long"),
    "",
    " ",
    "\x00",
    "x" * 6_000,
    "\r\nSet-Cookie: a=b",
)
NUMBERS = ("0", "1", "-1", "01", "1e9", "٣", "²", "9" * 9, "9" * 19, "9" * 400, "1_0", " 1 ", "NaN", "true")
TIMES = (
    "2026-11-24",
    "2026-13-45",
    "0001-01-01",
    "9999-12-31",
    "2026-11-24T17:00",
    "0001-01-01T00:00+14:00",
    "24/11/2026",
)
WORDS = (
    *(
        "escalated",
        "queued",
        "done",
        "question",
        "in doubt",
        "business",
        "bot",
        "batch",
        "workflow",
        "everything",
    ),
    *(
        "csv",
        "xlsx",
        "json",
        "reasons",
        "mine",
        "unassigned",
        "soon",
        "overdue",
        "none",
        "paused",
        "yes",
        "no",
        "all",
    ),
    *(
        "arrival",
        "-arrival",
        "-due",
        "due",
        "urgent",
        "when",
        "-when",
        "month",
        "week",
        RENT,
        PERMIT,
        "benefits",
    ),
    *(
        "return",
        "close",
        "cancel",
        "hand on",
        "set due",
        "set priority",
        "put off",
        "//elsewhere.test",
        "/\\elsewhere.test",
    ),
    *(
        "https://elsewhere.test/",
        "/cases",
        "javascript:alert(1)",
        "Aa.bb",
        "[]",
        '{"a": 1}',
        "null",
        "0" * 64,
    ),
)
FIELDS = (
    *(
        "reference",
        "state",
        "workflow",
        "batch",
        "since",
        "until",
        "sort",
        "after",
        "before",
        "show",
        "kind",
        "due",
    ),
    *(
        "alike",
        "q",
        "page",
        "do",
        "why",
        "said",
        "settled",
        "case",
        "token",
        "back",
        "again",
        "action",
        "actor",
    ),
    *(
        "subject",
        "attempts",
        "now",
        "name",
        "assigned_to",
        "due_before",
        "words",
        "period",
        "from",
        "to",
        "v",
        "upload",
    ),
    *(
        "reason",
        "note",
        "total",
        "sure",
        "text",
        "comment",
        "priority",
        "message",
        "live",
        "bot",
        "not_before",
        "file",
        "schedule",
        "at",
    ),
    *(
        "_do",
        "_case",
        "_seen",
        "answer",
        "answer.zone",
        "answer.fee",
        "data.weekly_rent",
        "data.from_date.day",
        "data",
    ),
    *("no_date", "due.date.day", "due.date.month", "due.date.year", "answer.", ".", "answer.zone.more"),
)
TYPES = (
    "application/json",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "nonsense",
    "é",
)


@pytest.fixture(params=PEOPLE, ids=" of ".join)
def stage(request: pytest.FixtureRequest, served: Any) -> Iterator[Stage]:
    """A stage for each of them; with a file that waits to be taken in, for who hands in."""
    with staged(served, *request.param) as one:
        answer = one.act(upload_for(one))
        if answer is not None and answer.status == 303:
            one.known["upload"] = answer.headers["location"].rpartition("/")[2]
        yield one


def test_no_request_finds_a_fault_or_does_what_may_not_be_done(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    for route in ROUTES:
        for method in sorted((route.methods or set()) - {"HEAD"}):
            _drive(stage, route, method, caplog)


def test_all_that_is_looked_for_in_vain_is_shown_to_those_who_may_see_it(served: Any) -> None:
    """Else nothing would be found however much was shown to the wrong people."""
    with staged(served, "viewer") as one:
        cases = [*one.made.cases.values(), "PP-2026-0003"]
        paths = [
            "/batches",
            "/schedules",
            *(f"/{page}/{case}" for page in ("cases", "escalations") for case in cases),
        ]
        shown = b"".join(_read(one, path) for path in paths).decode()
    assert not [secret for secret in (*SECRETS, *ELSEWHERE) if secret not in shown]


def _read(stage: Stage, path: str) -> bytes:
    """What stands at an address, or at the one that it leads to."""
    answer = stage.act(Sent("GET", path, same_site(stage.actor.cookies)))
    assert answer is not None
    return _read(stage, answer.headers["location"]) if answer.status == 303 else answer.body


def test_whoever_hangs_up_before_he_has_sent_all_is_no_fault_and_does_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with structlog.testing.capture_logs() as said, caplog.at_level(logging.ERROR):
        for deed in DEEDS:
            if deed.method == "POST":
                sent = request_for(deed, stage)
                stage.wire.send(replace(sent, body=sent.body + b"&x=", cut_off=1_000))
        stage.wire.send(replace(upload_for(stage), cut_off=1_000))
        sleep(SETTLES_SECONDS)
        stage.act(Sent("GET", "/", same_site(stage.actor.cookies)))
    assert not [one for one in said if one["log_level"] == "error"]
    assert not caplog.records, caplog.text
    assert not stage.did


def _drive(stage: Stage, route: Route, method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Send generated requests to one route."""

    @SETTINGS
    @given(requests_for(stage, route, method))
    def drive(sent: Sent) -> None:
        with structlog.testing.capture_logs() as said, caplog.at_level(logging.ERROR):
            caplog.clear()
            stage.act(sent, reads_body=not sent.target.startswith("/events"))
        faults = [one for one in said if one["log_level"] in ("error", "critical")]
        assert not faults, faults
        assert not caplog.records, caplog.text

    drive()


@st.composite
def requests_for(draw: st.DrawFn, stage: Stage, route: Route, method: str) -> Sent:
    """A request to a route: sometimes just as it should be, and sometimes not at all."""
    path = PART.sub(lambda part: draw(_part(stage, part[1])), route.path)
    query = draw(_query(stage))
    sent_as = draw(st.sampled_from((method,) * 9 + ("HEAD", "PUT", "DELETE", "OPTIONS", "MADEUP")))
    headers = draw(_headers(stage))
    if method != "POST":
        return Sent(sent_as, f"{path}{query}", headers)
    kind, body = draw(_body(stage, route.path))
    return Sent(sent_as, f"{path}{query}", (*headers, *kind), body)


def _texts(stage: Stage) -> st.SearchStrategy[str]:
    """What leads somewhere, what means something, what does harm, and what nobody thought of."""
    return st.one_of(
        st.sampled_from(tuple(names_of(stage).values())),
        st.sampled_from(WORDS),
        st.sampled_from((*NUMBERS, *TIMES)),
        st.sampled_from(TEXTS),
        st.text(max_size=40),
    )


def _part(stage: Stage, name: str) -> st.SearchStrategy[str]:
    """What stands in a path: most often something that is there."""
    names = names_of(stage)
    like = {
        "name": [names["rents"], names["permits"]],
        "bulk": [names["bulk"], names["paused bulk"]],
        "upload": [names.get("upload", "0" * 32)],
        "attempt": ["1", "2"],
        "number": [names["session"], "1", "2"],
        "file": ["01-question.jpg", "01-before-put-the-new-rent-on-the-claim.jpg"],
        "section": ["ends", "share", "reasons", "hours", "time", "age"],
        "kind": ["csv", "xlsx"],
    }
    cases = [*stage.made.cases.values(), "HB000107", "PP-2026-0001"]
    return st.one_of(
        *[st.sampled_from(like.get(name, cases))] * 3,
        _texts(stage).map(_quoted),
        st.sampled_from(RAW),
    )


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _query(stage: Stage) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(st.sampled_from(FIELDS), _texts(stage)), min_size=1, max_size=5)
    return st.one_of(
        st.just(""),
        pairs.map(lambda some: f"?{urlencode(some, errors='replace')}"),
        st.sampled_from([f"?{name}={raw}" for raw in RAW for name in ("after", "q", "sort", "workflow")]),
    )


def _headers(stage: Stage) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    own = same_site(stage.actor.cookies)
    return st.sampled_from(
        (own,) * 6
        + (
            (*own, ("HX-Request", "true")),
            (*own, ("HX-Request", "true"), ("HX-Target", "live"), ("Accept-Language", "\xff")),
            (*own, ("Last-Event-ID", "1"), ("If-Modified-Since", "never"), ("Range", "bytes=9-1")),
            (
                *own,
                ("Forwarded", "for=1"),
                ("X-Forwarded-Host", "elsewhere.test"),
                ("Cookie", "a=\xff; =;"),
            ),
        )
    )


@st.composite
def _body(draw: st.DrawFn, stage: Stage, path: str) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """What a form sends: that of a deed with some fields altered, and sometimes no form at all."""
    fields = draw(_fields(stage, path))
    encoded = urlencode(fields, errors="replace").encode()
    form = ((("Content-Type", FORM),), encoded)
    parts = _multipart(fields)
    cut = draw(st.integers(0, len(parts)))
    multipart = (("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),)
    return draw(
        st.sampled_from(
            (form,) * 6
            + (
                (multipart, parts),
                (multipart, parts[:cut]),
                (multipart, encoded),
                ((), encoded),
                ((("Content-Type", FORM),), b"%ff%fe=\xff&&&=;%&\x00=\x00&reason=%00"),
                ((("Content-Type", f"{FORM}; charset=utf-16"),), encoded),
                ((("Content-Type", draw(st.sampled_from(TYPES))),), parts),
                (form[0], urlencode([("case", "x")] * 2_500).encode()),
            )
        )
    )


@st.composite
def _fields(draw: st.DrawFn, stage: Stage, path: str) -> list[tuple[str, str]]:
    """The fields of a deed of this page, or none; some left out, altered, given twice, or from elsewhere."""
    page = path.partition("{")[0]
    deeds = [deed.fields for deed in DEEDS if deed.path.startswith(page) and deed.method == "POST"] or [{}]
    good = draw(st.sampled_from(deeds))
    fields = []
    for name, text in good.items():
        how = draw(st.sampled_from(("kept",) * 8 + ("altered", "left out", "twice")))
        if how != "left out":
            fields.append((name, draw(_texts(stage)) if how == "altered" else filled_in(text, stage)))
        if how == "twice":
            fields.append((name, draw(_texts(stage))))
    if page == "/escalations/" and draw(st.booleans()):
        case = draw(st.sampled_from(sorted(stage.made.cases)))
        seen = names_of(stage)[f"seen {case}"]
        does = draw(st.sampled_from([str(one) for one in Action]))
        fields = [("_do", does), ("_case", stage.made.cases[case]), ("_seen", seen), *fields]
    return fields + draw(st.lists(st.tuples(st.sampled_from(FIELDS), _texts(stage)), max_size=4))


def _multipart(fields: list[tuple[str, str]]) -> bytes:
    """The same as parts, with a file behind them."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{text}\r\n'
        for name, text in [("workflow", PERMIT), *fields]
    ]
    file = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="permits.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{PERMITS}\r\n--{BOUNDARY}--\r\n"
    )
    return "".join([*parts, file]).encode("utf-8", "replace")
