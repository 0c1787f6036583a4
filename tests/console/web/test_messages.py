"""The messages page: what was told to whom, what could not be sent and why, and trying again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from samples import PERMIT, RENT, hostile
from sqlalchemy import insert

from casehand.queue import audit, messages, schema
from casehand.queue.messages import MessageState

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]
NARROW = {"width": 375, "height": 740}
SAME_SITE = {"sec-fetch-site": "same-origin"}
REFUSED = "the mail server refused the sender (550)"


@pytest.fixture
def outbox(served: Any) -> dict[str, int]:
    """The numbers of four messages, one in each state."""
    return {
        "sent": write(served, 1, "sent", tries=1),
        "given up": write(served, 2, "given up", tries=90, error=REFUSED),
        "tried": write(served, 3, "waiting", tries=3, error="the mail server does not answer"),
        "new": write(served, 4, "waiting", workflow=PERMIT),
    }


def write(
    served: Any,
    number: int,
    state: str,
    tries: int = 0,
    error: str | None = None,
    workflow: str | None = RENT,
    **more: Any,
) -> int:
    """Put a message into the outbox; returns its number."""
    now = served.clock()
    values = {
        "id": number,
        "key": f"{number:032}",
        "what": "escalation",
        "receiver": "team",
        "shown": "mailto:team@council.example",
        "subject": f"Casehand: HB00010{number} waits for a person",
        "body": f"The case HB00010{number} waits for a person.",
        "things": 1,
        "gathers": False,
        "state": state,
        "tries": tries,
        "written_at": now,
        "not_before": now + timedelta(minutes=4),
        "give_up_at": now,
        "sent_at": now if state == "sent" else None,
        "error": error,
    }
    told = {
        "receiver": "team",
        "what": "escalation",
        "subject": str(number),
        "since": now,
        "workflow": workflow,
        "message": number,
    }
    with served.ledger.writing() as connection:
        connection.execute(insert(schema.messages).values(values | more))
        connection.execute(insert(schema.told).values(told))
    return number


def states(served: Any) -> dict[int, MessageState]:
    """What became of each."""
    return {one.id: one.state for one in messages.find_messages(served.ledger)}


def test_home_says_that_messages_could_not_be_sent_and_leads_to_them(
    page_for: PageFor, outbox: dict[str, int], finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    expect(page.get_by_text("2 messages could not be sent.")).to_be_visible()
    finds_nothing(page)
    page.get_by_role("link", name="See why, and have them tried again").click()
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("Could not be sent")
    expect(rows.nth(1)).to_contain_text(REFUSED)
    expect(rows.nth(0)).to_contain_text("Tried 3 times, again in 4 minutes")
    finds_nothing(page)


def test_a_supervisor_has_what_was_given_up_tried_again(
    page_for: PageFor, served: Any, outbox: dict[str, int], finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    page.goto("/messages")
    page.get_by_role("button", name="Try those chosen again").click()
    expect(page.get_by_role("alert").first).to_contain_text("Choose the messages that are to be tried again")
    finds_nothing(page)
    page.get_by_label(
        "Try again: Casehand: HB000102 waits for a person, to mailto:team@council.example"
    ).check()
    page.get_by_role("button", name="Try those chosen again").click()
    expect(page.get_by_role("alert")).to_contain_text("1 message will be tried again at once.")
    finds_nothing(page)
    assert states(served)[outbox["given up"]] is MessageState.WAITING
    (entry,) = audit.find_entries(served.ledger, audit.EntryFilter(subject=f"message {outbox['given up']}"))
    assert (entry.actor, entry.action) == ("test.supervisor@example.test", "message to be sent")


def test_what_was_sent_meanwhile_is_said(page_for: PageFor, served: Any, outbox: dict[str, int]) -> None:
    page = page_for("supervisor")
    page.goto("/messages?state=unsent")
    page.get_by_role("checkbox").first.check()
    message = messages.find_messages(served.ledger, MessageState.WAITING, after=4)[0]
    messages.note_sent(served.ledger, message)
    page.get_by_role("button", name="Try those chosen again").click()
    expect(page.get_by_role("alert").first).to_contain_text(f"Message {message.id} was sent")


def test_an_outbox_with_nothing_in_it_says_so(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("supervisor")
    expect(page.get_by_text("could not be sent")).to_be_hidden()
    page.get_by_role("link", name="Messages").click()
    expect(page.get_by_text("No message was written yet.")).to_be_visible()
    expect(page.get_by_text("Nobody is told of anything here")).to_be_visible()
    finds_nothing(page)
    page.goto("/messages?state=unsent")
    expect(page.get_by_text("Every message was sent")).to_be_visible()


def test_the_list_goes_on_page_by_page(page_for: PageFor, served: Any) -> None:
    for number in range(1, 61):
        write(served, number, "sent", tries=1)
    page = page_for("administrator")
    page.goto("/messages")
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Next page").click()
    expect(rows).to_have_count(10)
    page.get_by_role("link", name="Previous page").click()
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text("HB0001060")
    expect(page.get_by_role("columnheader", name="Written")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("link", name="Written").click()
    expect(page.get_by_role("columnheader", name="Written")).to_have_attribute("aria-sort", "ascending")
    expect(rows.first).to_contain_text("HB000101 ")
    page.get_by_role("link", name="Next page").click()
    expect(rows).to_have_count(10)
    expect(rows.last).to_contain_text("HB0001060")
    # What is narrowed down stays in that order.
    page.get_by_role("link", name="Sent", exact=True).click()
    expect(rows.first).to_contain_text("HB000101 ")


def test_what_cannot_be_tried_again_leaves_the_list_as_it_was(
    page_for: PageFor, served: Any, outbox: dict[str, int], finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    page.goto("/messages?state=unsent&sort=when")
    page.get_by_role("button", name="Try those chosen again").click()
    expect(page.get_by_role("alert").first).to_contain_text("Choose the messages that are to be tried again")
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows.first).to_contain_text("HB000102")
    finds_nothing(page)
    page.get_by_role("link", name="Written").click()
    expect(rows.first).to_contain_text("HB000103")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_supervisor_of_one_workflow_knows_only_of_messages_that_tell_of_that(
    page_for: PageFor, served: Any, outbox: dict[str, int]
) -> None:
    page = page_for("supervisor", workflows=(PERMIT,))
    expect(page.get_by_text("could not be sent")).to_be_hidden()
    page.goto("/messages")
    expect(page.get_by_role("table").locator("tbody tr")).to_have_count(1)
    assert "HB000102" not in page.content()
    answer = page.request.post("/messages", form={"message": "2"}, headers=SAME_SITE)
    assert answer.status == 422
    assert "There is no message 2" in answer.text()
    assert states(served)[outbox["given up"]] is MessageState.GIVEN_UP


@pytest.mark.parametrize("role", ["viewer", "caseworker", "developer"])
def test_nobody_else_sees_messages_or_has_them_tried_again(
    page_for: PageFor, served: Any, outbox: dict[str, int], role: str
) -> None:
    page = page_for(role)
    expect(page.get_by_text("could not be sent")).to_be_hidden()
    expect(page.get_by_role("link", name="Messages")).to_be_hidden()
    assert page.request.get("/messages").status == 403
    assert page.request.post("/messages", form={"message": "2"}, headers=SAME_SITE).status == 403
    assert states(served)[outbox["given up"]] is MessageState.GIVEN_UP


@pytest.mark.parametrize("sent", ["nothing", "-1", "99999999999999999999", "²"])
def test_what_is_no_message_is_refused(page_for: PageFor, outbox: dict[str, int], sent: str) -> None:
    page = page_for("supervisor")
    answer = page.request.post("/messages", form={"message": sent}, headers=SAME_SITE)
    assert answer.status in (400, 422)


def test_hostile_messages_run_nothing_and_break_nothing(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    for number, text in enumerate(hostile().values(), start=1):
        clean = text.encode("utf-8", "replace").decode()
        write(served, number, "given up", 1, clean, subject=clean, body=clean, shown=clean[:200])
    page = page_for("supervisor", viewport=NARROW)
    page.goto("/messages")
    assert page.title().startswith("Messages ")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    finds_nothing(page)


def test_messages_are_tried_again_by_keyboard_and_without_scripts(
    page_for: PageFor, served: Any, outbox: dict[str, int], tab_to: Any
) -> None:
    page = page_for("supervisor", java_script_enabled=False)
    page.goto("/messages?state=unsent")
    page.get_by_role("checkbox").last.check()
    page.get_by_role("button", name="Try those chosen again").click()
    assert states(served)[outbox["given up"]] is MessageState.WAITING
    page = page_for("supervisor")
    page.goto("/messages?state=unsent")
    tab_to(
        page, "checkbox", "Try again: Casehand: HB000103 waits for a person, to mailto:team@council.example"
    )
    page.keyboard.press("Space")
    tab_to(page, "button", "Try those chosen again")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("1 message will be tried again at once.")
