"""Acting on many: only on a filter or a selection, after a look, with a reason; progress, and what was refused."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from samples import PERMIT, RENT, hostile

from casehand.console.rights import Role
from casehand.queue import bulk as bulks
from casehand.queue.bulk import BulkAction, BulkState
from casehand.queue.cases import find_case

PageFor = Callable[..., Page]
ClientFor = Callable[..., Any]
FindsNothing = Callable[[Page], None]
RENTS = "rent-changes-2026-11-22"


def all_of(served: Any) -> list[bulks.Bulk]:
    return bulks.all_bulks(served.ledger)


@pytest.mark.parametrize("scripts", [True, False])
def test_cases_of_a_filter_are_looked_at_then_acted_on(
    page_for: PageFor, served: Any, scripts: bool, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor", java_script_enabled=scripts)
    page.goto(f"/bulk/new?batch={RENTS}&state=escalated")
    page.get_by_label("Close", exact=True).check()
    page.get_by_role("button", name="See which cases these are").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Close 5 cases")
    expect(page.get_by_role("region", name="5 cases").get_by_role("row")).to_have_count(6)
    page.get_by_role("button", name="Close 5 cases").click()
    assert page.get_by_role("alert").get_by_role("link").all_inner_texts() == [
        "Enter what was done about the cases",
        "Enter why this is done",
    ]
    page.get_by_label("Note kept with each case").fill("all done by hand")
    page.get_by_label("Why").fill("the landlord has written")
    page.get_by_role("button", name="Close 5 cases").click()
    page.wait_for_url("**/bulk/*said=begun")
    gone_through = page.get_by_text("5 of 5 cases gone through: 4 done, 1 refused.")
    for _ in range(1 if scripts else 20):
        if not scripts:
            page.wait_for_timeout(1_000)
            page.reload()
            if gone_through.count():
                break
    expect(gone_through).to_be_visible(timeout=20_000)
    expect(page.get_by_role("row").filter(has_text="HB000110")).to_contain_text("settle this case by itself")
    line = find_case(served.ledger, "HB000106")
    assert (line.state, line.reason) == ("closed", "all done by hand")
    (bulk,) = all_of(served)
    assert (bulk.begun_by, bulk.reason) == ("test.supervisor@example.test", "the landlord has written")


def test_a_selection_is_acted_on_by_keyboard_alone(
    page_for: PageFor, served: Any, tab_to: Callable[..., None]
) -> None:
    page = page_for("supervisor")
    page.goto(f"/bulk/new?case={served.made.business}&case={served.made.failure}&action=hand+on")
    tab_to(page, "textbox", "Whom they are given to")
    page.keyboard.type("k.sample@example.test")
    tab_to(page, "textbox", "Why")
    page.keyboard.type("Kim knows this landlord")
    tab_to(page, "button", "Hand on 2 cases")
    page.keyboard.press("Enter")
    page.wait_for_url("**/bulk/*said=begun")
    expect(page.get_by_text("2 of 2 cases gone through: 2 done, 0 refused.")).to_be_visible(timeout=20_000)


def test_there_is_no_acting_on_all(client_for: ClientFor, served: Any, somebody: Any) -> None:
    client = client_for(somebody("administrator"))
    assert "Nothing can be done to all cases at once" in client.get("/bulk/new").text
    for data in ({}, {"workflow": "", "batch": " "}, {"unknown": "x"}):
        answer = client.post("/bulk/new", data={"action": "cancel", "reason": "x", "total": "999", **data})
        assert "First choose cases" in answer.text
    assert all_of(served) == []


def test_nobody_decides_on_more_cases_than_he_was_shown(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    client = client_for(somebody("supervisor"))
    asked = {"batch": RENTS, "action": "set priority", "priority": "5", "reason": "urgent"}
    for shown in ("11", "", "x"):
        answer = client.post("/bulk/new", data={**asked, "total": shown})
        assert answer.status_code == 422
        assert "There are 12 cases now" in answer.text
    assert client.post("/bulk/new", data={**asked, "total": "12"}).status_code == 303


def test_it_is_paused_resumed_and_cancelled(
    client_for: ClientFor, served: Any, somebody: Any, page_for: PageFor
) -> None:
    page = page_for("supervisor")
    action, which = BulkAction.SET_PRIORITY, [served.made.queued]
    bulk = bulks.begin(served.ledger, action, which, "urgent", "s.sample@example.test", "5")
    bulks.pause(served.ledger, bulk, "s.sample@example.test")
    page.goto(f"/bulk/{bulk}")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("alert")).to_contain_text("It goes on.")
    expect(page.get_by_text("1 of 1 case gone through: 1 done")).to_be_visible(timeout=20_000)

    second = bulks.begin(served.ledger, action, which, "urgent", "s.sample@example.test", "6")
    bulks.pause(served.ledger, second, "s.sample@example.test")
    page.goto(f"/bulk/{second}")
    page.get_by_role("button", name="Cancel what is still to come").click()
    expect(page.get_by_text("1 left as they were")).to_be_visible()
    assert bulks.find_bulk(served.ledger, second).state is BulkState.CANCELLED
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    client = client_for(somebody("supervisor"))
    assert "cannot become" in client.post(f"/bulk/{second}/resume").text
    page.goto("/bulk")
    expect(page.get_by_role("row")).to_have_count(3)


def test_the_list_begins_with_the_latest_or_the_oldest_and_goes_on_so(
    page_for: PageFor,
    served: Any,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    finds_nothing: FindsNothing,
) -> None:
    monkeypatch.setattr("casehand.console.web.many.AT_ONCE", 2)
    for number in range(3):
        bulks.begin(
            served.ledger,
            BulkAction.SET_PRIORITY,
            [served.made.queued],
            f"number {number}",
            "s.sample@example.test",
            "5",
        )
        clock.pass_time(minutes=1)
    page = page_for("supervisor")
    page.goto("/bulk")
    whys = page.locator("#bulks tbody td:nth-of-type(2)")
    expect(whys).to_have_text(["number 2", "number 1"])
    page.get_by_role("link", name="Next page").click()
    expect(whys).to_have_text(["number 0"])
    expect(page.get_by_role("columnheader", name="Begun")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("link", name="Begun").click()
    expect(whys).to_have_text(["number 0", "number 1"])
    expect(page.get_by_role("columnheader", name="Begun")).to_have_attribute("aria-sort", "ascending")
    finds_nothing(page)
    page.get_by_role("link", name="Next page").click()
    expect(whys).to_have_text(["number 2"])
    page.get_by_role("link", name="Previous page").click()
    expect(whys).to_have_text(["number 0", "number 1"])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CASEWORKER, Role.DEVELOPER])
def test_others_may_not(client_for: ClientFor, served: Any, somebody: Any, role: Role) -> None:
    bulk = bulks.begin(
        served.ledger, BulkAction.CANCEL, [served.made.queued], "the wrong file", "s.sample@example.test"
    )
    bulks.pause(served.ledger, bulk, "s.sample@example.test")
    client = client_for(somebody(role))
    assert client.get(f"/bulk/new?batch={RENTS}").status_code == 403
    data = {"batch": RENTS, "action": "cancel", "reason": "x", "total": "99"}
    assert client.post("/bulk/new", data=data).status_code == 403
    for what in ("pause", "resume", "cancel"):
        assert client.post(f"/bulk/{bulk}/{what}").status_code == 403
    shown = client.get(f"/bulk/{bulk}").text
    assert ("the wrong file" in shown) is (role is not Role.DEVELOPER)
    assert bulks.find_bulk(served.ledger, bulk).state is BulkState.PAUSED
    assert len(all_of(served)) == 1


def test_a_supervisor_of_one_workflow_acts_only_there(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    client = client_for(somebody("supervisor", PERMIT))
    ask = {"action": "cancel", "reason": "x", "total": "99"}
    assert client.post("/bulk/new", data={**ask, "workflow": RENT}).status_code == 403
    assert client.post("/bulk/new", data={**ask, "case": served.made.queued}).status_code == 404
    assert client.get(f"/bulk/new?case={served.made.queued}&action=cancel").status_code == 404
    assert "HB000115" not in client.get("/bulk/new?state=queued&action=cancel").text
    theirs = bulks.begin(
        served.ledger, BulkAction.CANCEL, [served.made.queued], "the wrong file", "s.sample@example.test"
    )
    assert client.get(f"/bulk/{theirs}").status_code == 404
    assert theirs not in client.get("/bulk").text


@pytest.mark.parametrize(
    "query",
    [
        "state=done",
        "state=nonsense",
        "kind=nonsense",
        "alike=zz",
        "due_before=tomorrow",
        "due_before=0001-01-01T00:00",
        "words=a",
        "batch=%00",
        f"batch={RENTS}&case=x",
        "case=nothing",
        "case=%00",
        "&".join(f"case={number}" for number in range(300)),
    ],
)
def test_a_filter_that_cannot_be_is_said_in_words(
    client_for: ClientFor, served: Any, somebody: Any, query: str
) -> None:
    client = client_for(somebody("supervisor"))
    for method in ("GET", "POST"):
        if method == "GET":
            answer = client.get(f"/bulk/new?{query}&action=cancel")
        else:
            content = f"{query}&action=cancel&reason=x&total=9"
            kind = {"content-type": "application/x-www-form-urlencoded"}
            answer = client.post("/bulk/new", content=content, headers=kind)
        assert answer.status_code in (404, 422) or "There are no such cases" in answer.text, answer.text[
            -900:
        ]
    assert all_of(served) == []


@pytest.mark.parametrize("value", hostile().values(), ids=hostile())
def test_hostile_words_do_nothing(
    served: Any, somebody: Any, page_for: PageFor, finds_nothing: FindsNothing, value: str
) -> None:
    typed = value.encode(errors="ignore").decode()
    page = page_for("supervisor")
    page.goto(f"/bulk/new?case={served.made.business}&action=close")
    page.get_by_label("Note kept with each case").fill(typed[:9_000])
    page.get_by_label("Why").fill(typed[:900])
    page.get_by_role("button", name="Close 1 case").click()
    page.wait_for_url("**/bulk/*said=begun")
    assert page.title() != "run"
    finds_nothing(page)
    page.goto("/bulk")
    finds_nothing(page)
    assert page.title() != "run"


def test_a_reason_that_is_too_long_is_kept_and_refused(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    client = client_for(somebody("supervisor"))
    data = {"batch": RENTS, "action": "cancel", "reason": "x" * 1_500, "total": "99"}
    answer = client.post("/bulk/new", data=data)
    assert answer.status_code == 422
    assert "at most 1,000 characters" in answer.text
    assert "x" * 1_500 in answer.text
