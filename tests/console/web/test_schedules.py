"""Schedules: what comes, what became of the last, and runs that went wrong: known, or run again."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hands import until_it_listens
from playwright.sync_api import Page, expect
from samples import PERMIT, RENT, hostile
from sqlalchemy import event, insert
from timetable import DAILY, MISSING, NIGHTLY, OVER, PLANNED, SLOT, go_wrong, run
from went_wrong import unseen

from casehand.console.office import Office
from casehand.console.rights import Role
from casehand.console.web.settings import ConsoleSettings
from casehand.console.web.site import Site
from casehand.queue import audit, runs, schema
from casehand.queue.audit import EntryFilter
from casehand.queue.pauses import PauseKind, is_paused
from casehand.queue.runs import Ended
from casehand.queue.schedules import RunState

PageFor = Callable[..., Page]
ClientFor = Callable[..., Any]
FindsNothing = Callable[[Page], None]
ME = "test.supervisor@example.test"
UNTIL = "2026-11-24T12:00:00+00:00"


def entries(served: Any, schedule: str) -> list[tuple[str, str]]:
    found = audit.find_entries(served.ledger, EntryFilter(subject=f"schedule {schedule}"))
    return [(one.actor, one.action) for one in found]


def wrong(page: Page, schedule: str) -> Any:
    """What of a schedule went wrong, on the page."""
    return (
        page.get_by_role("region", name="Went wrong", exact=True).get_by_role("row").filter(has_text=schedule)
    )


def slot(**other: Any) -> dict[str, Any]:
    """A slot that failed, as it stands in the ledger."""
    return {
        "schedule": NIGHTLY,
        "workflow": RENT,
        "state": RunState.FAILED,
        "tries": 1,
        "accepted": 0,
        "rejected": 0,
        "batches": "[]",
        "concerns": True,
        **other,
    }


def put(served: Any, *slots: dict[str, Any]) -> None:
    """Put slots that failed into the ledger, one a minute before the other, the last now."""
    now = served.clock()
    with served.ledger.writing() as connection:
        for number, one in enumerate(slots):
            at = now - timedelta(minutes=len(slots) - number)
            connection.execute(
                insert(schema.schedule_slots).values(at=at, not_before=at, ended_at=now, **one)
            )


def test_it_says_when_each_comes_what_it_hands_in_and_what_became_of_the_last(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    go_wrong(served.ledger)
    page = page_for("viewer")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Schedules").click()
    nightly = page.get_by_role("region", name=NIGHTLY, exact=True)
    expect(nightly).to_contain_text("30 2 * * * as cron reads it")
    expect(nightly).to_contain_text("Europe/London")
    expect(nightly).to_contain_text("The file inbox/rents.csv")
    comes = nightly.get_by_role("list").get_by_role("listitem").all_inner_texts()
    assert comes == [
        f"{day} November 2026 at 2:30am"
        for day in ("Wednesday 25", "Thursday 26", "Friday 27", "Saturday 28", "Sunday 29")
    ]
    daily = page.get_by_role("region", name=DAILY, exact=True)
    expect(daily).to_contain_text("Every working day at 06:30")
    expect(daily).to_contain_text("Every file of the folder inbox/permits")
    assert daily.get_by_role("list").get_by_role("listitem").all_inner_texts() == [
        f"{day} at 6:30am"
        for day in (
            "Wednesday 25 November 2026",
            "Thursday 26 November 2026",
            "Friday 27 November 2026",
            "Monday 30 November 2026",
            "Tuesday 1 December 2026",
        )
    ], "in its own zone, and not on a Saturday"
    last = daily.get_by_role("table").get_by_role("row").nth(1)
    expect(last).to_contain_text("3 cases taken in, 2 rows rejected")
    expect(last).to_contain_text("Tuesday 24 November 2026 at 6:30am")
    finds_nothing(page)
    daily.get_by_role("link", name=PERMIT).click()
    page.wait_for_url(f"**/batches?workflow={PERMIT}")
    page.go_back()
    last.get_by_role("link", name=OVER).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(OVER)


def test_what_went_wrong_stands_at_the_top_and_on_home(page_for: PageFor, served: Any) -> None:
    go_wrong(served.ledger)
    page = page_for("supervisor")
    needs = page.get_by_role("region", name="Needs a person")
    expect(needs).to_contain_text("3 scheduled runs went wrong.")
    needs.get_by_role("link", name="See why, and say that you know of them").click()
    expect(page.get_by_role("heading", level=2)).to_have_text(["Went wrong", NIGHTLY, DAILY])
    row = wrong(page, NIGHTLY)
    expect(row).to_contain_text(f"{MISSING.said}")
    expect(row).to_contain_text("Failed")
    assert row.get_by_role("cell").nth(2).inner_text() == "2"
    rejected = wrong(page, DAILY)
    expect(rejected).to_contain_text("3 cases taken in, 2 rows rejected")
    expect(rejected).to_contain_text("Rows rejected")
    expect(rejected.get_by_role("button", name="I know of it")).to_be_visible()
    expect(rejected.get_by_role("button", name="Run it again")).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_person_says_that_he_knows_of_it(page_for: PageFor, served: Any, scripts: bool) -> None:
    go_wrong(served.ledger)
    page = page_for("supervisor", java_script_enabled=scripts)
    page.goto("/schedules")
    wrong(page, NIGHTLY).get_by_role("button", name="I know of it").click()
    expect(page.get_by_role("alert")).to_contain_text("Noted: you know of what went wrong.")
    expect(wrong(page, NIGHTLY)).to_have_count(0)
    expect(wrong(page, DAILY)).to_have_count(1)
    assert entries(served, NIGHTLY)[0] == (ME, "failed runs seen")
    assert [one.schedule for one in unseen(served.ledger)] == [DAILY]
    wrong(page, DAILY).get_by_role("button", name="I know of it").click()
    expect(page.get_by_role("heading", name="Went wrong")).to_have_count(0)
    page.goto("/")
    expect(page.get_by_role("region", name="Needs a person")).not_to_contain_text("went wrong")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_what_failed_is_run_again_when_a_scheduler_next_looks(
    page_for: PageFor, served: Any, scripts: bool
) -> None:
    go_wrong(served.ledger)
    page = page_for("supervisor", java_script_enabled=scripts)
    page.goto("/schedules")
    wrong(page, NIGHTLY).get_by_role("button", name="Run it again").click()
    expect(page.get_by_role("alert")).to_contain_text("It is to be run again")
    assert entries(served, NIGHTLY)[0] == (ME, "run again")
    region = page.get_by_role("region", name=NIGHTLY, exact=True)
    expect(region.get_by_role("row").nth(1)).to_contain_text("Waits")
    taken = runs.take(served.ledger, PLANNED[NIGHTLY].plan, "a scheduler")
    assert taken is not None
    assert taken.at.isoformat() == SLOT
    assert runs.end(served.ledger, taken, Ended(RunState.DONE, "7 cases taken in", 7))
    page.goto("/schedules")
    expect(region.get_by_role("row").nth(1)).to_contain_text("7 cases taken in")
    assert wrong(page, NIGHTLY).get_by_role("cell").nth(2).inner_text() == "1"
    region.get_by_role("button", name="Run it again").click()
    expect(page.get_by_role("alert")).to_contain_text("It is to be run again")
    assert unseen(served.ledger)[0].schedule == DAILY


def test_both_are_done_by_keyboard_alone(page_for: PageFor, served: Any, tab_to: Callable[..., None]) -> None:
    go_wrong(served.ledger)
    page = page_for("supervisor")
    page.goto("/schedules")
    tab_to(page, "button", f"I know of it ({DAILY})")
    page.keyboard.press("Enter")
    page.wait_for_url("**/schedules?said=seen")
    tab_to(page, "button", f"Run it again ({NIGHTLY} of Monday 23 November 2026 at 2:30am)")
    page.keyboard.press("Space")
    page.wait_for_url("**/schedules?said=again")
    assert entries(served, DAILY)[0] == (ME, "failed runs seen")
    assert entries(served, NIGHTLY)[0] == (ME, "run again")


def test_it_changes_by_itself(page_for: PageFor, served: Any) -> None:
    page = page_for("viewer")
    page.goto("/schedules")
    expect(page.get_by_role("region", name=NIGHTLY, exact=True)).to_contain_text("It has not run yet.")
    page.evaluate("window.stayed = true")
    until_it_listens(page)
    run(served.ledger, NIGHTLY, MISSING)
    expect(wrong(page, NIGHTLY)).to_contain_text("does not exist")
    assert page.evaluate("window.stayed"), "the whole page was loaded anew"


def test_it_is_paused_and_resumed_from_here(page_for: PageFor, served: Any) -> None:
    go_wrong(served.ledger)
    page = page_for("supervisor")
    page.goto("/schedules")
    region = page.get_by_role("region", name=NIGHTLY, exact=True)
    region.get_by_role("link", name="Pause this schedule").click()
    expect(page.get_by_label("Which schedule")).to_have_value(NIGHTLY)
    page.get_by_label("Why").fill("the landlord is late")
    page.get_by_role("button", name="Pause a schedule").click()
    page.wait_for_url("**/schedules?said=paused")
    expect(region).to_contain_text("This schedule is paused: the landlord is late")
    assert is_paused(served.ledger, PauseKind.SCHEDULE, NIGHTLY)
    region.get_by_role("button", name="Resume this schedule").click()
    page.wait_for_url("**/schedules?said=resumed")
    assert not is_paused(served.ledger, PauseKind.SCHEDULE, NIGHTLY)
    client = page.request
    client.post(
        "/pausing/new", form={"kind": "everything", "reason": "x"}, headers={"sec-fetch-site": "same-origin"}
    )
    page.reload()
    expect(region).to_contain_text("Everything is paused")


def test_what_went_wrong_since_the_page_was_shown_is_not_known(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    run(served.ledger, NIGHTLY, MISSING)
    shown = served.clock().isoformat()
    served.clock.pass_time(days=1)
    run(served.ledger, NIGHTLY, MISSING)
    client = client_for(somebody("supervisor"))
    answer = client.post("/schedules/seen", data={"schedule": NIGHTLY, "until": shown})
    assert answer.headers["location"] == "/schedules?said=seen"
    assert len(unseen(served.ledger)) == 1
    again = client.post("/schedules/seen", data={"schedule": NIGHTLY, "until": shown})
    assert again.headers["location"] == "/schedules?said=seen-already"
    assert len(unseen(served.ledger)) == 1


def test_what_is_said_twice_is_done_once(client_for: ClientFor, served: Any, somebody: Any) -> None:
    go_wrong(served.ledger)
    client = client_for(somebody("supervisor"))
    for said in ("again", "again-already"):
        answer = client.post("/schedules/again", data={"schedule": NIGHTLY, "at": SLOT})
        assert answer.headers["location"] == f"/schedules?said={said}"
    for said in ("seen", "seen-already"):
        answer = client.post("/schedules/seen", data={"schedule": DAILY, "until": UNTIL})
        assert answer.headers["location"] == f"/schedules?said={said}"
    assert entries(served, NIGHTLY).count((ME, "run again")) == 1
    assert entries(served, DAILY) == [(ME, "failed runs seen")]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CASEWORKER, Role.DEVELOPER])
def test_others_look_and_may_do_nothing(
    client_for: ClientFor, served: Any, somebody: Any, role: Role
) -> None:
    go_wrong(served.ledger)
    client = client_for(somebody(role))
    shown = client.get("/schedules").text
    assert str(MISSING.said) in shown
    for offer in ("I know of it", "Run it again", "Pause this schedule"):
        assert offer not in shown
    before = entries(served, NIGHTLY)
    for path in ("/schedules/seen", "/schedules/again"):
        data = {"schedule": NIGHTLY, "at": SLOT, "until": UNTIL}
        assert client.post(path, data=data).status_code == 403, path
    assert entries(served, NIGHTLY) == before
    assert len(unseen(served.ledger)) == 3


def test_a_supervisor_of_one_workflow_sees_and_does_nothing_of_another(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    go_wrong(served.ledger)
    client = client_for(somebody("supervisor", PERMIT))
    shown = client.get("/schedules").text
    assert DAILY in shown
    assert NIGHTLY not in shown
    assert RENT not in shown
    assert "1 scheduled run went wrong" in client.get("/").text
    for path in ("/schedules/seen", "/schedules/again"):
        answer = client.post(path, data={"schedule": NIGHTLY, "at": SLOT, "until": UNTIL})
        assert answer.status_code == 404, path
        assert RENT not in answer.text
    assert client.post("/schedules/seen", data={"schedule": DAILY, "until": UNTIL}).status_code == 303
    assert [one.schedule for one in unseen(served.ledger)] == [NIGHTLY, NIGHTLY]


def test_who_may_act_for_one_workflow_and_look_at_another_acts_for_the_one(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    go_wrong(served.ledger)
    person = somebody("supervisor", PERMIT)
    both = type(person)(person.id, person.name, {**person.roles, RENT: frozenset({Role.VIEWER})})
    client = client_for(both)
    shown = client.get("/schedules").text
    assert "You may not" in shown
    assert f'I know of it<span class="govuk-visually-hidden"> ({DAILY})' in shown
    for path in ("/schedules/seen", "/schedules/again"):
        data = {"schedule": NIGHTLY, "at": SLOT, "until": UNTIL}
        assert client.post(path, data=data).status_code == 403, path


def test_what_a_schedule_that_is_kept_no_more_left_behind_is_shown_and_known(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    put(served, slot(schedule="weekly-rents", said="the file is empty"))
    page = page_for("supervisor")
    page.goto("/schedules")
    row = wrong(page, "weekly-rents")
    expect(row).to_contain_text("It is kept here no more.")
    expect(row.get_by_role("button", name="Run it again")).to_have_count(0)
    finds_nothing(page)
    row.get_by_role("button", name="I know of it").click()
    expect(page.get_by_role("alert")).to_contain_text("Noted")
    assert unseen(served.ledger) == []


def test_whatever_a_name_and_a_reason_hold_is_text(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    nasty = {name: text for name, text in hostile().items() if name not in ("long", "surrogate")}
    names = list(nasty.values())
    put(
        served,
        *(
            slot(
                schedule=name[:60],
                workflow=RENT,
                said=name[:500],
                batches=json.dumps([name.replace("/", " ")]),
            )
            for name in names
        ),
        slot(said=hostile()["long"][:500]),
    )
    page = page_for("supervisor", viewport={"width": 375, "height": 740})
    page.goto("/schedules")
    expect(page.get_by_text("onerror").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.title().startswith("Schedules")
    assert page.locator("main img, main script").count() == 0
    assert "49" not in page.get_by_role("region", name="Went wrong", exact=True).inner_text()
    finds_nothing(page)
    number = len(runs.gone_wrong(served.ledger))
    wrong(page, "onerror").first.get_by_role("button", name="I know of it").click()
    expect(page.get_by_role("alert")).to_contain_text("Noted")
    assert len(runs.gone_wrong(served.ledger)) == number - 1


@pytest.mark.parametrize("text", ["", "soon", "2026-11-24T02:30:00", "0001-01-01T00:00+14:00", "x" * 5_000])
def test_what_no_button_sends_is_refused_and_changes_nothing(
    client_for: ClientFor, served: Any, somebody: Any, text: str
) -> None:
    go_wrong(served.ledger)
    client = client_for(somebody("supervisor"))
    for path, field in (("/schedules/seen", "until"), ("/schedules/again", "at")):
        answer = client.post(path, data={"schedule": NIGHTLY, field: text})
        assert answer.status_code == 400, path
        assert "It is not said which run" in answer.text
        assert client.post(path, data={"schedule": f"n\0{text}", field: SLOT}).status_code == 404
    assert len(unseen(served.ledger)) == 3


def test_where_nothing_comes_it_says_so(client_for: ClientFor, somebody: Any) -> None:
    shown = client_for(somebody("viewer", "nothing/here")).get("/schedules")
    assert shown.status_code == 200
    assert "Nothing comes by itself" in shown.text
    assert "Went wrong" not in shown.text


def test_however_often_it_went_wrong_the_page_asks_few_statements(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    put(served, *(slot(schedule=f"s{number % 120:03}", said="x") for number in range(600)))
    client = client_for(somebody("administrator"))
    client.get("/schedules")
    statements: list[str] = []
    event.listen(
        served.ledger.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    answer = client.get("/schedules")
    assert answer.status_code == 200
    assert "There are more" in answer.text
    asked = [one for one in statements if one.lstrip().upper().startswith(("SELECT", "UPDATE", "INSERT"))]
    assert 0 < len(asked) <= 10, asked


MODULE = """
from casehand import Case, CaseData, scheduled, workflow


class Pay(CaseData):
    claim: str


@scheduled("from-a-workflow", every="every day at 06:00", file="pay.csv")
@workflow("council/pay", reference="claim")
def pay(case: Case[Pay]) -> None:
    pass
"""
SETTINGS = (
    '[[schedule]]\nname = "from-settings"\ncron = "30 2 * * *"\nworkflow = "council/pay"\nfile = "pay.csv"\n'
)


def test_the_pages_that_are_served_know_the_schedules_of_settings_and_workflows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "council_paid.py").write_text(MODULE)
    (tmp_path / "casehand.toml").write_text(SETTINGS)
    monkeypatch.setenv("CASEHAND_WORKFLOWS", "council_paid")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    office = Office()
    site = Site.of(office, ConsoleSettings())
    assert sorted(site.planned) == ["from-a-workflow", "from-settings"]
    with office.ledger.reading() as connection:
        noted = connection.execute(schema.schedules.select()).all()
    assert sorted(one.name for one in noted) == ["from-a-workflow", "from-settings"], "they can be paused"
    office.ledger.close()
    sys.modules.pop("council_paid", None)
