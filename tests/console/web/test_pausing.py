"""Pausing: what is held back and why, holding back and letting go, and systems that fail."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from samples import BOT, PERMIT, RENT
from sqlalchemy import delete, event, insert, update

from casehand.console.rights import Role
from casehand.queue import audit, schedules, schema
from casehand.queue.audit import EntryFilter
from casehand.queue.calendar import LONDON
from casehand.queue.pauses import PauseKind, is_paused
from casehand.queue.rules import Rule
from casehand.queue.schedules import Plan

PageFor = Callable[..., Page]
ClientFor = Callable[..., Any]
FindsNothing = Callable[[Page], None]
ME = "test.supervisor@example.test"


def open_breaker(served: Any) -> None:
    now = served.clock()
    with served.ledger.writing() as connection:
        connection.execute(delete(schema.breakers).where(schema.breakers.c.bot == BOT))
        connection.execute(
            insert(schema.breakers).values(
                bot=BOT, failures=5, opened_at=now, probe_at=now + timedelta(minutes=4), probes=2
            )
        )


def entry(served: Any, subject: str) -> tuple[str, str, str | None]:
    one = audit.find_entries(served.ledger, EntryFilter(subject=subject))[0]
    return one.actor, one.action, one.reason


def test_it_says_what_is_paused_why_by_whom_since_when_and_how_many_wait(page_for: PageFor) -> None:
    page = page_for("viewer")
    page.get_by_role("link", name="Pausing").click()
    row = page.get_by_role("row").filter(has_text="permits")
    cells = row.get_by_role("cell").all_inner_texts()
    assert cells == [
        "the permits system is being moved",
        "s.sample@example.test",
        "Tuesday 24 November 2026 at 9:52am",
        "2",
        "You may not",
    ]


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize(
    ("kind", "name", "subject"),
    [
        (PauseKind.BOT, BOT, f"bot {BOT}"),
        (PauseKind.WORKFLOW, RENT, f"workflow {RENT}"),
        (PauseKind.BATCH, "rent-changes-2026-11-22", "batch rent-changes-2026-11-22"),
        (PauseKind.SCHEDULE, "nightly-rents", "schedule nightly-rents"),
        (PauseKind.EVERYTHING, "*", "everything"),
    ],
)
def test_each_is_paused_with_a_reason_and_let_go(
    page_for: PageFor, served: Any, kind: PauseKind, name: str, subject: str, scripts: bool
) -> None:
    schedules.note(served.ledger, Plan("nightly-rents", Rule.from_cron("30 2 * * *", LONDON), RENT))
    page = page_for("supervisor", java_script_enabled=scripts)
    page.goto("/pausing")
    title = "Pause everything" if kind is PauseKind.EVERYTHING else f"Pause a {kind}"
    page.get_by_role("button", name=title).click()
    page.get_by_role("button", name=title).click()
    expect(page.get_by_role("alert")).to_contain_text("Enter why it is paused")
    assert not is_paused(served.ledger, kind, name)
    if kind in (PauseKind.BOT, PauseKind.WORKFLOW, PauseKind.SCHEDULE):
        page.get_by_label(f"Which {kind}").select_option(name)
    elif kind is PauseKind.BATCH:
        page.get_by_label("Which batch").fill(name)
    page.get_by_label("Why").fill("the system is changed")
    page.get_by_role("button", name=title).click()
    expect(page.get_by_role("alert")).to_contain_text("Paused. Cases in work are finished")
    assert is_paused(served.ledger, kind, name)
    assert entry(served, subject) == (ME, "paused", "the system is changed")

    what = "everything" if kind is PauseKind.EVERYTHING else f"the {kind} {name}"
    page.get_by_role("button", name=f"Resume {what}").click()

    expect(page.get_by_role("alert")).to_contain_text("It goes on.")
    assert not is_paused(served.ledger, kind, name)
    assert entry(served, subject)[:2] == (ME, "resumed")


def test_it_is_done_by_keyboard_alone(page_for: PageFor, served: Any, tab_to: Callable[..., None]) -> None:
    page = page_for("supervisor")
    page.goto("/pausing")
    tab_to(page, "button", "Pause everything")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pausing/new*")
    tab_to(page, "textbox", "Why")
    page.keyboard.type("fire alarm")
    tab_to(page, "button", "Pause everything")
    page.keyboard.press("Space")
    page.wait_for_url("**/pausing?said=paused")
    tab_to(page, "button", "Resume everything")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pausing?said=resumed")
    assert not is_paused(served.ledger, PauseKind.EVERYTHING, "*")


def test_what_is_not_there_is_said_beside_its_field_and_nothing_typed_is_lost(
    page_for: PageFor, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    page.goto("/pausing/new?kind=batch")
    page.get_by_label("Which batch").fill("rent-changes-2026-11-2")
    page.get_by_label("Why").fill("the wrong file")
    page.get_by_role("button", name="Pause a batch").click()
    expect(page.get_by_role("alert")).to_contain_text("did you mean rent-changes-2026-11-22")
    expect(page.get_by_label("Why")).to_have_value("the wrong file")
    finds_nothing(page)


def test_a_system_that_fails_is_shown_and_one_case_is_let_try(
    page_for: PageFor, client_for: ClientFor, served: Any, somebody: Any, finds_nothing: FindsNothing
) -> None:
    open_breaker(served)
    page = page_for("supervisor")
    page.goto("/pausing")
    row = page.get_by_role("row").filter(has_text=BOT)
    expect(row).to_contain_text("in 4 minutes")
    finds_nothing(page)
    row.get_by_role("button", name="Let one try now").click()
    expect(page.get_by_role("row").filter(has_text=BOT)).to_contain_text("Now")
    assert entry(served, f"bot {BOT}")[:2] == (ME, "breaker to be tried")
    with served.ledger.writing() as connection:
        connection.execute(update(schema.breakers).values(opened_at=None))
    late = client_for(somebody("supervisor")).post("/pausing/try", data={"bot": BOT})
    assert late.status_code == 400
    assert "No case waits for the system of the bot benefits" in late.text


def test_a_try_does_not_lift_a_pause(client_for: ClientFor, served: Any, somebody: Any) -> None:
    open_breaker(served)
    client = client_for(somebody("supervisor"))
    client.post("/pausing/new", data={"kind": "bot", "name": BOT, "reason": "upgrade"})
    assert client.post("/pausing/try", data={"bot": BOT}).status_code == 303
    assert is_paused(served.ledger, PauseKind.BOT, BOT)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CASEWORKER, Role.DEVELOPER])
def test_others_look_and_may_do_nothing(
    client_for: ClientFor, served: Any, somebody: Any, role: Role
) -> None:
    open_breaker(served)
    client = client_for(somebody(role))
    shown = client.get("/pausing").text
    assert "the permits system is being moved" in shown
    assert "Pause everything" not in shown
    assert "Let one try now" not in shown
    for path, data in (
        ("/pausing/new", {"kind": "everything", "reason": "x"}),
        ("/pausing/new", {"kind": "bot", "name": BOT, "reason": "x"}),
        ("/pausing/resume", {"kind": "bot", "name": "permits"}),
        ("/pausing/try", {"bot": BOT}),
    ):
        assert client.post(path, data=data).status_code == 403, (path, data)
    assert is_paused(served.ledger, PauseKind.BOT, "permits")
    assert not is_paused(served.ledger, PauseKind.EVERYTHING, "*")


def test_a_supervisor_of_one_workflow_holds_back_only_that(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    client = client_for(somebody("supervisor", RENT))
    assert "permits" not in client.get("/pausing").text
    assert "Pause everything" not in client.get("/pausing").text
    assert client.get("/pausing/new?kind=everything").status_code == 403
    for kind, name in (("bot", "permits"), ("workflow", PERMIT)):
        answer = client.post("/pausing/new", data={"kind": kind, "name": name, "reason": "x"})
        assert answer.status_code in (403, 422), (kind, name)
    assert client.post("/pausing/new", data={"kind": "everything", "reason": "x"}).status_code == 403
    assert client.post("/pausing/resume", data={"kind": "bot", "name": "permits"}).status_code == 403
    assert is_paused(served.ledger, PauseKind.BOT, "permits")
    ours = client.post("/pausing/new", data={"kind": "workflow", "name": RENT, "reason": "x"})
    assert ours.status_code == 303


@pytest.mark.parametrize("kind", ["", "calendar", "<script>", "everything\0"])
def test_what_cannot_be_paused_leads_back(
    client_for: ClientFor, served: Any, somebody: Any, kind: str
) -> None:
    client = client_for(somebody("supervisor"))
    for answer in (
        client.get("/pausing/new", params={"kind": kind}),
        client.post("/pausing/new", data={"kind": kind, "reason": "x"}),
        client.post("/pausing/resume", data={"kind": kind}),
    ):
        assert (answer.status_code, answer.headers["location"]) == (303, "/pausing")


def test_however_much_is_paused_the_page_asks_few_statements(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    now = served.clock()
    with served.ledger.writing() as connection:
        for kind, number in (("batch", 80), ("workflow", 40)):
            values = [
                {"kind": kind, "name": f"n{one}", "reason": "x", "paused_at": now, "paused_by": "s.sample"}
                for one in range(number)
            ]
            connection.execute(insert(schema.pauses), values)
    client = client_for(somebody("administrator"))
    client.get("/pausing")
    statements: list[str] = []
    event.listen(
        served.ledger.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    answer = client.get("/pausing")
    assert answer.status_code == 200
    assert "There are more" in answer.text
    asked = [one for one in statements if one.lstrip().upper().startswith(("SELECT", "UPDATE", "INSERT"))]
    assert 0 < len(asked) <= 20, asked
