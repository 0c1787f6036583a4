"""Deeds: a good request for everything that a page can do, with what the audit calls it when it was done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from samples import PERMIT, RENT
from stage import SETTLERS, SUPERVISORS, Stage
from timetable import NIGHTLY, SLOT
from wire import Sent, same_site

from casehand.console.rights import Role

Fields = Mapping[str, str]
BOUNDARY = "an-invented-boundary"
FORM = "application/x-www-form-urlencoded"
PERMITS = "permit,vehicle,zone,notes\nPP-2026-0777,TE77 AAA,B,\n,,,\n"


@dataclass(frozen=True)
class Deed:
    """One of them. `path` and `fields` may name what is only known on the stage, in braces."""

    does: str
    path: str
    fields: Fields = field(default_factory=dict)
    roles: frozenset[Role] = SUPERVISORS
    method: str = "POST"
    workflow: str | None = RENT
    name: str = ""

    @property
    def id(self) -> str:
        """What the test is called."""
        return f"{self.does} by {self.method} {self.path}"


def _settling(does: str, case: str, action: str, roles: frozenset[Role] = SETTLERS, **fields: str) -> Deed:
    common = {"_do": action, "_case": f"{{{case}}}", "_seen": f"{{seen {case}}}"}
    given = {name.replace("__", "."): text for name, text in fields.items()}
    return Deed(does, f"/escalations/{{{case}}}", {**common, **given}, roles)


def _acting(action: str, **fields: str) -> Deed:
    given = {"action": action, "workflow": RENT, "reason": "for the test", "total": "999", "sure": "yes"}
    return Deed("bulk begun", "/bulk/new", {**given, **fields})


DEEDS = (
    Deed("cancelled", "/case/{queued}/cancel", {"reason": "it was handed in by mistake"}, SETTLERS),
    Deed("commented", "/case/{done}/comment", {"text": "a word on it"}, SETTLERS),
    Deed("due date set", "/case/{queued}/due", {"due": "2026-12-24"}),
    Deed("priority set", "/case/{queued}/priority", {"priority": "7"}),
    _settling("taken", "business", "take"),
    _settling("handed on", "business", "hand on", to="{colleague}"),
    _settling("returned", "failure", "return"),
    _settling("closed", "business", "close", note="it was done by hand"),
    _settling("cancelled", "business", "cancel", reason="it came twice"),
    _settling("commented", "business", "comment", comment="a word on it"),
    _settling("answered", "question", "answer", answer="yes"),
    _settling("answered", "doubt", "answer", answer="no"),
    _settling("amended", "business", "amend", data__weekly_rent="99.99"),
    _settling(
        "due date set",
        "business",
        "set due",
        SUPERVISORS,
        due__date__day="24",
        due__date__month="12",
        due__date__year="2026",
    ),
    Deed("paused", "/pausing/new", {"kind": "bot", "name": "benefits", "reason": "it is slow"}),
    Deed("paused", "/pausing/new", {"kind": "workflow", "name": RENT, "reason": "it is wrong"}),
    Deed("paused", "/pausing/new", {"kind": "batch", "name": "{rents}", "reason": "it is the wrong file"}),
    Deed("paused", "/pausing/new", {"kind": "everything", "reason": "all stops"}, workflow=None),
    Deed("resumed", "/pausing/resume", {"kind": "bot", "name": "permits"}, workflow=PERMIT),
    Deed("failed runs seen", "/schedules/seen", {"schedule": NIGHTLY, "until": "2026-11-24T12:00Z"}),
    Deed("run again", "/schedules/again", {"schedule": NIGHTLY, "at": SLOT}),
    _acting("return", state="escalated"),
    _acting("close", state="escalated", note="they were done by hand"),
    _acting("cancel", state="queued"),
    _acting("hand on", state="escalated", to="{colleague}"),
    _acting("set due", due="2026-12-24T17:00"),
    _acting("set priority", priority="5"),
    _acting("put off", begin="2026-12-24T17:00"),
    Deed(
        "bulk begun",
        "/bulk/new",
        {"action": "return", "case": "{business}", "reason": "for the test", "total": "1", "sure": "yes"},
    ),
    Deed("bulk paused", "/bulk/{bulk}/pause"),
    Deed("bulk resumed", "/bulk/{paused bulk}/resume"),
    Deed("bulk cancelled", "/bulk/{bulk}/cancel"),
    Deed("bulk begun", "/batches/{rents}/cancel", {"reason": "it is the wrong file"}),
    Deed("took out results", "/batches/{rents}/results.csv", method="GET"),
    Deed("took out rejects", "/batches/{rents}/rejects.xlsx", method="GET"),
    Deed("audit verified", "/audit/verify", workflow=None),
    Deed("signed out", "/sessions/{session}/end", roles=frozenset({Role.ADMINISTRATOR}), workflow=None),
    Deed("signed out", "/sign-out", roles=frozenset(Role), workflow=None),
)


def request_for(deed: Deed, stage: Stage) -> Sent:
    """The request that does it."""
    path = filled_in(deed.path, stage, quote)
    fields = {name: filled_in(text, stage) for name, text in deed.fields.items()}
    if deed.method == "GET":
        return Sent("GET", path, same_site(stage.actor.cookies))
    headers = (*same_site(stage.actor.cookies), ("Content-Type", FORM))
    return Sent("POST", path, headers, urlencode(fields).encode())


def filled_in(text: str, stage: Stage, encoded: Callable[[str], str] = str) -> str:
    """A text with what its braces name."""
    for name, value in names_of(stage).items():
        text = text.replace(f"{{{name}}}", encoded(value))
    return text


def names_of(stage: Stage) -> dict[str, str]:
    """All that can be named on the stage."""
    cases = stage.made.cases
    seen = {f"seen {name}": stage.known.get(f"seen {case}", "0") for name, case in cases.items()}
    return {**stage.known, **cases, **seen}


def upload_for(stage: Stage, workflow: str = PERMIT, content: bytes = PERMITS.encode()) -> Sent:
    """The request that sends a file to be looked over."""
    lines = [
        f"--{BOUNDARY}",
        'Content-Disposition: form-data; name="workflow"',
        "",
        workflow,
        f"--{BOUNDARY}",
        'Content-Disposition: form-data; name="file"; filename="permits.csv"',
        "Content-Type: text/csv",
        "",
        "",
    ]
    body = "\r\n".join(lines).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = (*same_site(stage.actor.cookies), ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"))
    return Sent("POST", "/batches/new", headers, body)
