"""Settling what waits for a person: by mouse, by keyboard alone and without scripts, and what is refused."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from hands import WAYS, Hands, until_it_listens
from playwright.sync_api import Page, expect
from samples import PERMIT, RENT, hostile
from sqlalchemy import event, select, update

from casehand.console.person import Person
from casehand.console.rights import EVERY, Role
from casehand.queue import attempts, commits, endings, escalations, pauses, schema
from casehand.queue.backoff import Backoff
from casehand.queue.cases import CaseStory, tell
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Escalated, EscalationKind
from casehand.queue.pauses import PauseKind

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]
SAME = {"sec-fetch-site": "same-origin"}
MOST_STATEMENTS = 20


@pytest.fixture(params=WAYS)
def hands(request: pytest.FixtureRequest, page_for: PageFor, tab_to: Callable[..., None]) -> Hands:
    """A caseworker at work."""
    page = page_for("caseworker", java_script_enabled=request.param != "no scripts")
    return Hands(page, request.param == "keyboard", tab_to)


@pytest.fixture
def story(served: Any) -> Callable[[str], CaseStory]:
    """Tells the whole story of one of the sample's cases."""
    return lambda name: tell(served.ledger, getattr(served.made, name))


@pytest.fixture
def path_of(story: Callable[[str], CaseStory]) -> Callable[[str], str]:
    """The address of one of the sample's cases."""
    return lambda name: f"/escalations/{story(name).line.reference}"


@pytest.fixture
def client_for(served: Any, somebody: Callable[..., Any]) -> Iterator[Callable[..., httpx2.Client]]:
    """Makes programs that send whatever they like, signed in as somebody of a role."""
    opened: list[httpx2.Client] = []

    def sign_in(role: str, *workflows: str, name: str | None = None) -> httpx2.Client:
        client = httpx2.Client(base_url=served.url, headers=SAME)
        opened.append(client)
        token = served.link(somebody(role, *workflows, name=name)).partition("token=")[2]
        client.post("/sign-in/link", data={"token": token})
        return client

    yield sign_in
    for client in opened:
        client.close()


# Journeys, each by mouse, by keyboard alone and without scripts.


def test_a_choice_is_answered(hands: Hands, story: Any, path_of: Any) -> None:
    hands.page.goto("/escalations")
    hands.press("link", story("question").line.reference)
    hands.press("button", "Answer and send back")
    expect(hands.page.get_by_role("alert")).to_contain_text("Choose an answer")
    hands.choose("yes", "no")
    hands.press("button", "Answer and send back")
    expect(hands.page.get_by_role("status")).to_contain_text("HB000107: your answer is kept")
    settled = story("question")
    assert (settled.line.state, settled.escalations[-1].settlement) == ("queued", "answered")
    assert settled.escalations[-1].settled_by == "test.caseworker@example.test"


def test_a_form_is_asked_again_until_it_is_right_and_nothing_typed_is_lost(
    hands: Hands, story: Any, path_of: Any, served: Any
) -> None:
    hands.page.goto(path_of("form"))
    hands.type("Zone", "too long")
    hands.type("Fee in pounds", "£1,042.5")
    hands.choose("No", "Yes")
    hands.press("button", "Answer and send back")
    summary = hands.page.get_by_role("alert")
    expect(summary).to_contain_text("Zone must have no more than 2 characters")
    expect(hands.page.get_by_role("textbox", name="Zone")).to_have_value("too long")
    expect(hands.page.get_by_role("textbox", name="Fee in pounds")).to_have_value("£1,042.5")
    expect(hands.page.get_by_role("radio", name="Yes")).to_be_checked()
    hands.press("link", "Zone must have no more than 2 characters")
    expect(hands.page.get_by_role("textbox", name="Zone")).to_be_focused()
    hands.page.reload()
    hands.page.goto(path_of("form"))
    hands.type("Zone", "C")
    hands.type("Fee in pounds", "£1,042.50")
    hands.press("button", "Answer and send back")
    expect(hands.page.get_by_role("status")).to_contain_text("your answer is kept")
    assert _answer(served.ledger, served.made.form) == {"zone": "C", "fee": "1042.50", "remind": False}


def test_an_exception_is_closed_with_a_note(hands: Hands, story: Any, path_of: Any) -> None:
    hands.page.goto(path_of("business"))
    expect(hands.page.get_by_role("main")).to_contain_text("The claim is closed")
    hands.press("link", "Close it")
    expect(hands.page.get_by_role("main")).to_contain_text("Nothing has been changed in the legacy system")
    hands.press("button", "Close the case")
    expect(hands.page.get_by_role("alert")).to_contain_text("Say what was done about it")
    hands.type("What was done about it", "put through by hand")
    hands.press("button", "Close the case")
    expect(hands.page.get_by_role("status")).to_contain_text("HB000106: the case is closed")
    assert (story("business").line.state, story("business").line.reason) == ("closed", "put through by hand")


def test_an_amended_case_is_checked_before_it_goes_back(hands: Hands, story: Any, path_of: Any) -> None:
    hands.page.goto(path_of("business"))
    hands.press("link", "Amend it and send it back")
    hands.press("button", "Check and send back")
    expect(hands.page.get_by_role("alert")).to_contain_text("Nothing is amended yet")
    hands.type("Weekly rent", "-3")
    hands.type("Day", "31")
    hands.type("Month", "2")
    hands.press("button", "Check and send back")
    summary = hands.page.get_by_role("alert")
    expect(summary).to_contain_text("Weekly rent must be more than 0")
    expect(summary).to_contain_text("From date must be a real date")
    expect(hands.page.get_by_role("textbox", name="Weekly rent")).to_have_value("-3")
    expect(hands.page.get_by_role("textbox", name="Day")).to_have_value("31")
    hands.type("Weekly rent", "£101.20")
    hands.type("Day", "1")
    hands.type("Month", "12")
    hands.press("button", "Check and send back")
    expect(hands.page.get_by_role("status")).to_contain_text("the amended case is queued")
    amended = story("business")
    assert (amended.data["weekly_rent"], amended.data["from_date"]) == ("101.20", "2026-12-01")
    assert amended.data["claimant"] == "Mx Test Holly"


def test_a_case_in_doubt_asks_whether_it_was_done(hands: Hands, story: Any, path_of: Any) -> None:
    hands.page.goto(path_of("doubt"))
    hands.press("button", "Continue")
    expect(hands.page.get_by_role("alert")).to_contain_text("Choose whether it was done")
    hands.choose("Yes, it was done", "No, it was not done")
    hands.press("button", "Continue")
    expect(hands.page.get_by_role("status")).to_contain_text("HB000110: your answer is kept")
    settled = story("doubt")
    assert [one.state for one in settled.commits] == ["not made"]
    assert settled.commits[0].resolved_by == "test.caseworker@example.test"


def test_who_cannot_tell_hands_it_on_or_leaves_it(
    hands: Hands, page_for: PageFor, story: Any, path_of: Any
) -> None:
    page_for("supervisor", name="Sam Other")
    hands.page.goto(path_of("doubt"))
    hands.choose("Yes, it was done", "I cannot tell")
    hands.press("button", "Continue")
    expect(hands.page.get_by_role("main")).to_contain_text("You could not tell")
    hands.page.get_by_label("Whom to").select_option(label="Sam Other (sam.other@example.test)")
    hands.press("button", "Hand it on")
    expect(hands.page.get_by_role("main")).to_contain_text("With sam.other@example.test")
    assert story("doubt").escalations[-1].assigned_to == "sam.other@example.test"
    assert story("doubt").line.state == "escalated"


def test_one_takes_a_case_from_the_list_and_gives_it_back(hands: Hands, story: Any) -> None:
    hands.page.goto("/escalations?show=unassigned")
    hands.press("button", "Take HB000108")
    expect(hands.page.get_by_role("main")).to_contain_text("With you")
    hands.page.goto("/escalations?show=mine")
    expect(hands.page.get_by_role("table").get_by_role("row")).to_have_count(2)
    hands.press("link", "HB000108")
    hands.press("button", "Give it back")
    expect(hands.page.get_by_role("main")).to_contain_text("With nobody")
    assert story("failure").escalations[-1].assigned_to is None


def test_a_case_is_sent_back_cancelled_or_commented_on(hands: Hands, story: Any, path_of: Any) -> None:
    hands.page.goto(path_of("failure"))
    hands.type("Say something to those who look at it later", "the system is mended")
    hands.press("button", "Add the comment")
    expect(hands.page.get_by_role("region", name="Comments")).to_contain_text("the system is mended")
    hands.press("link", "Send it back to be worked again")
    hands.press("button", "Send it back")
    expect(hands.page.get_by_role("status")).to_contain_text("queued to be worked again")
    hands.page.goto(path_of("fault"))
    hands.press("link", "Cancel it")
    hands.type("Why it is cancelled", "handed in twice")
    hands.press("button", "Cancel the case")
    expect(hands.page.get_by_role("status")).to_contain_text("the case is cancelled")
    assert (story("failure").line.state, story("fault").line.state) == ("queued", "cancelled")
    assert story("fault").line.reason == "handed in twice"


# What is said, and when.


def test_both_attempts_evidence_stands_side_by_side_and_stacked_where_it_is_narrow(
    page_for: PageFor, served: Any, path_of: Any, finds_nothing: FindsNothing
) -> None:
    _doubt_again(served)
    page = page_for("supervisor")
    page.goto(path_of("doubt"))
    attempts_left = page.get_by_role("region", name="What both attempts left").get_by_role("heading", level=3)
    expect(attempts_left).to_have_count(2)
    left, right = attempts_left.all()
    assert left.bounding_box()["y"] == right.bounding_box()["y"]  # type: ignore[index]
    finds_nothing(page)
    page.set_viewport_size({"width": 375, "height": 740})
    assert left.bounding_box()["y"] < right.bounding_box()["y"]  # type: ignore[index]
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    finds_nothing(page)


def test_what_is_changed_already_is_said_before_a_case_is_ended(page_for: PageFor, path_of: Any) -> None:
    page = page_for("supervisor")
    page.goto(f"{path_of('doubt')}?do=close")
    main = page.get_by_role("main")
    expect(main).to_contain_text("Not known whether it was done: put the new rent on the claim")
    expect(main).to_contain_text("What was changed stays changed")


def test_amending_is_not_offered_while_a_change_is_in_doubt(page_for: PageFor, path_of: Any) -> None:
    page = page_for("supervisor")
    page.goto(path_of("doubt"))
    expect(page.get_by_role("link", name="Amend it and send it back")).to_have_count(0)
    page.goto(f"{path_of('doubt')}?do=amend")
    expect(page.get_by_role("button", name="Check and send back")).to_have_count(0)


def test_what_was_typed_is_there_when_the_session_has_ended(
    page_for: PageFor, served: Any, somebody: Any, path_of: Any, story: Any
) -> None:
    page = page_for("caseworker")
    page.goto(path_of("form"))
    page.get_by_role("textbox", name="Zone").fill("C")
    page.get_by_role("textbox", name="Fee in pounds").fill("12.50")
    served.clock.pass_time(minutes=31)
    page.get_by_role("button", name="Answer and send back").click()
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("nothing was done")
    other = page.context.new_page()
    other.goto(served.link(somebody("caseworker")))
    other.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_role("status")).to_contain_text("your answer is kept")
    assert story("form").escalations[-1].settlement == "answered"


def test_who_was_slower_is_told_who_when_and_how_and_sees_what_he_typed(
    page_for: PageFor, served: Any, path_of: Any, finds_nothing: FindsNothing
) -> None:
    page = page_for("caseworker")
    page.goto(path_of("form"))
    page.get_by_role("textbox", name="Zone").fill("C")
    escalations.close(served.ledger, served.made.form, "s.sample@example.test", "done by hand")
    page.get_by_role("button", name="Answer and send back").click()
    main = page.get_by_role("main")
    expect(page.get_by_role("heading", name="Somebody was quicker")).to_be_visible()
    expect(main).to_contain_text("s.sample@example.test closed the case, Tuesday 24 November 2026 at 10:42am")
    expect(main.get_by_role("definition").first).to_have_text("C")
    finds_nothing(page)


def test_the_page_says_at_once_when_somebody_else_settles_what_one_looks_at(
    page_for: PageFor, served: Any, path_of: Any
) -> None:
    page = page_for("caseworker")
    page.goto(path_of("form"))
    page.get_by_role("textbox", name="Zone").fill("half a thought")
    until_it_listens(page)
    escalations.close(served.ledger, served.made.form, "s.sample@example.test", "done by hand")
    expect(page.get_by_role("main")).to_contain_text("s.sample@example.test closed the case")
    expect(page.get_by_role("textbox", name="Zone")).to_have_value("half a thought")


def test_an_answer_that_the_workflow_turned_down_stands_there_again(
    page_for: PageFor, served: Any, path_of: Any
) -> None:
    ledger, case = served.ledger, served.made.form
    asked = tell(ledger, case).escalations[-1].question
    escalations.answer(ledger, case, {"zone": "C", "fee": "12.50", "remind": True}, "s.sample@example.test")
    _escalate_again(served, case, EscalationKind.QUESTION, "Which? (fee is too high)", json.dumps(asked))
    page = page_for("caseworker")
    page.goto(path_of("form"))
    expect(page.get_by_role("main")).to_contain_text("fee is too high")
    expect(page.get_by_role("textbox", name="Zone")).to_have_value("C")
    expect(page.get_by_role("textbox", name="Fee in pounds")).to_have_value("12.50")
    expect(page.get_by_role("radio", name="Yes")).to_be_checked()


def test_a_due_date_is_set_and_taken_away(page_for: PageFor, story: Any, path_of: Any) -> None:
    page = page_for("supervisor")
    page.goto(path_of("business"))
    page.get_by_role("link", name="Set the due date").click()
    page.get_by_label("Month").fill("")
    page.get_by_role("button", name="Set the due date").click()
    expect(page.get_by_role("alert")).to_contain_text("Due date must include a month")
    page.get_by_label("Month").fill("12")
    page.get_by_label("Day").fill("5")
    page.get_by_role("button", name="Set the due date").click()
    expect(page.get_by_role("main")).to_contain_text("Due 5 December 2026")
    page.get_by_role("link", name="Set the due date").click()
    page.get_by_role("button", name="Take the date away").click()
    expect(page.get_by_role("main")).to_contain_text("No due date")
    assert story("business").line.due is None


def test_similar_ones_lead_to_acting_on_a_selection_of_them(
    page_for: PageFor, served: Any, story: Any, path_of: Any
) -> None:
    other = _escalated(served, "queued", EscalationKind.BUSINESS, "the claim is closed")
    page = page_for("supervisor")
    page.goto(path_of("business"))
    alike = page.get_by_role("region", name="Similar ones that wait")
    alike.get_by_label(story("queued").line.reference).check()
    with page.expect_request(re.compile("/bulk/new")) as asked:
        alike.get_by_role("button", name="Act on those chosen").click()
    assert asked.value.url.partition("?")[2] == f"case={served.made.business}&case={other}"
    caseworker = page_for("caseworker")
    caseworker.goto(path_of("business"))
    expect(caseworker.get_by_role("button", name="Act on those chosen")).to_have_count(0)
    caseworker.get_by_role("link", name=f"Open {story('queued').line.reference}").click()
    expect(caseworker.get_by_role("heading", level=1)).to_contain_text(story("queued").line.reference)


# Who may not.


def test_a_viewer_sees_the_case_and_nothing_to_press(
    page_for: PageFor, path_of: Any, finds_nothing: FindsNothing
) -> None:
    page = page_for("viewer")
    for name in ("question", "form", "doubt", "business"):
        page.goto(path_of(name))
        main = page.get_by_role("main")
        expect(main.get_by_role("button")).to_have_count(0)
        expect(main.get_by_role("textbox")).to_have_count(0)
        finds_nothing(page)
    page.goto("/escalations")
    expect(page.get_by_role("button", name=re.compile("^Take"))).to_have_count(0)


def test_a_developer_sees_nothing_of_what_a_case_holds(
    page_for: PageFor, served: Any, story: Any, path_of: Any, finds_nothing: FindsNothing
) -> None:
    page = page_for("developer")
    for name in ("question", "form", "doubt", "business", "fault"):
        page.goto(path_of(name))
        text = page.content()
        told = story(name)
        secret = [*map(str, told.data.values()), told.escalations[-1].reason]
        held = [one for one in secret if one and len(one) > 1 and one != told.line.reference and one in text]
        assert held == []
        expect(page.get_by_role("main").get_by_role("img")).to_have_count(0)
        finds_nothing(page)
    page.goto("/escalations")
    assert "the rent rises" not in page.content().lower()
    page.goto("/escalations?show=reasons")
    assert "the claim is closed" not in page.content().lower()
    file = next((served.site.settings.evidence / served.made.question / "1").glob("*.jpg")).name
    assert page.request.get(f"/evidence/{served.made.question}/1/{file}").status == 403


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
def test_hand_made_requests_of_those_who_may_not_do_nothing(
    client_for: Any, served: Any, story: Any, path_of: Any, role: Role
) -> None:
    client = client_for(str(role))
    before = _audit_length(served.ledger)
    for action in (
        "take",
        "give back",
        "hand on",
        "answer",
        "return",
        "amend",
        "close",
        "cancel",
        "comment",
        "set due",
    ):
        answer = client.post(path_of("question"), data=_sent(story("question"), action))
        assert answer.status_code == 403, action
    assert _audit_length(served.ledger) == before


def test_a_caseworker_may_not_what_is_a_supervisors(
    client_for: Any, served: Any, story: Any, path_of: Any
) -> None:
    escalations_of = story("question")
    client_for("supervisor", name="Sam Other").post(path_of("question"), data=_sent(escalations_of, "take"))
    client = client_for("caseworker")
    assert client.post(path_of("question"), data=_sent(escalations_of, "set due")).status_code == 403
    for action in ("answer", "return", "close", "cancel", "give back"):
        answer = client.post(path_of("question"), data=_sent(escalations_of, action))
        assert answer.status_code == 409, action
        assert "sam.other@example.test" in answer.text
    assert story("question").line.state == "escalated"


def test_a_case_of_a_workflow_that_is_not_his_is_not_there(
    client_for: Any, served: Any, story: Any, path_of: Any
) -> None:
    client = client_for("caseworker", PERMIT)
    assert client.get(path_of("question")).status_code == 404
    assert client.post(path_of("question"), data=_sent(story("question"), "close")).status_code == 404
    sent = {**_sent(story("question"), "close"), "_case": served.made.question}
    assert client.post(path_of("form"), data=sent).status_code == 404
    assert "HB0001" not in client.get("/escalations").text
    assert "HB0001" not in client.get(f"/escalations?workflow={RENT}").text


def test_the_case_of_a_form_must_be_that_of_the_address(
    client_for: Any, served: Any, story: Any, path_of: Any
) -> None:
    client = client_for("supervisor")
    answer = client.post(path_of("form"), data=_sent(story("business"), "close"))
    assert answer.status_code == 404
    assert story("business").line.state == "escalated"


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"_do": "answer"},
        {"_do": "answer", "_seen": "none"},
        {"_do": "answer", "_seen": "9" * 5000},
        {"_do": "erase", "_seen": "1"},
        {"_do": "set priority", "_seen": "1"},
    ],
)
def test_a_request_that_says_too_little_is_refused(
    client_for: Any, path_of: Any, sent: dict[str, str]
) -> None:
    assert 400 <= client_for("supervisor").post(path_of("question"), data=sent).status_code < 500


@pytest.mark.parametrize(
    "reference",
    ["A/B", "A//B", "..", "../x", "A B?c=1#d", "50% é", "السيدة", "a\u202eb", '"><script>', "." * 200],
)
def test_a_case_is_found_and_settled_whatever_its_reference_is(
    page_for: PageFor, served: Any, story: Any, reference: str
) -> None:
    with served.ledger.writing() as connection:
        cases = schema.cases.c
        connection.execute(
            update(schema.cases).where(cases.id == served.made.question).values(reference=reference)
        )
    page = page_for("caseworker")
    page.goto("/escalations?kind=question&workflow=housing-benefit/rent-change")
    page.get_by_role("table").get_by_role("rowheader").get_by_role("link").click()
    page.get_by_role("radio", name="yes").check()
    served.clock.pass_time(minutes=31)
    page.get_by_role("button", name="Answer and send back").click()
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    other = page.context.new_page()
    other.goto(served.link(Person("b@example.test", "B", {EVERY: frozenset({Role.CASEWORKER})})))
    other.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_role("status")).to_contain_text("your answer is kept")
    assert story("question").escalations[-1].settled_by == "b@example.test"


def test_a_reference_that_two_workflows_share_asks_which(
    page_for: PageFor, served: Any, story: Any, finds_nothing: FindsNothing
) -> None:
    with served.ledger.writing() as connection:
        cases = schema.cases.c
        connection.execute(
            update(schema.cases).where(cases.id == served.made.form).values(reference="HB000107")
        )
    page = page_for("caseworker")
    page.goto("/escalations/HB000107")
    finds_nothing(page)
    page.get_by_role("link", name="HB000107, parking/permit-renewal").click()
    page.get_by_role("button", name="Take this case").click()
    expect(page.get_by_role("main")).to_contain_text("With you")
    expect(page.get_by_role("main")).to_contain_text("parking/permit-renewal")
    assert story("form").escalations[-1].assigned_to == "test.caseworker@example.test"
    assert story("question").escalations[-1].assigned_to is None
    page.goto("/escalations?kind=question")
    for workflow in ("housing-benefit/rent-change", "parking/permit-renewal"):
        page.goto("/escalations?kind=question")
        page.get_by_role("row", name=workflow).get_by_role("rowheader").get_by_role("link").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(workflow)


def test_one_can_hand_on_only_to_those_who_may_settle_it(
    client_for: Any, page_for: PageFor, story: Any, path_of: Any
) -> None:
    client_for("viewer", name="Vic Viewer")
    client_for("caseworker", PERMIT, name="Pat Permits")
    page = page_for("caseworker")
    page.goto(f"{path_of('business')}?do=hand on")
    names = page.get_by_label("Whom to").get_by_role("option").all_text_contents()
    assert names == ["Choose a person", "Test Caseworker (test.caseworker@example.test), that is you"]
    client = client_for("supervisor")
    sent = {**_sent(story("business"), "hand on"), "to": "vic.viewer@example.test"}
    assert client.post(path_of("business"), data=sent).status_code == 422
    assert story("business").escalations[-1].assigned_to is None


# Hostile data, and what it costs.


@pytest.mark.parametrize("width", [1280, 375])
def test_hostile_data_neither_runs_nor_breaks_a_page(
    page_for: PageFor, path_of: Any, served: Any, width: int, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor", viewport={"width": width, "height": 800})
    reference = path_of("hostile")
    for address in (
        "/escalations",
        "/escalations?show=reasons",
        reference,
        *(
            f"{reference}?do={action}"
            for action in ("amend", "close", "cancel", "return", "hand on", "set due")
        ),
    ):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200
        assert page.title() != "run"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        finds_nothing(page)


def test_hostile_words_are_typed_and_stand_there_again_as_they_were(
    page_for: PageFor, path_of: Any, story: Any
) -> None:
    page = page_for("supervisor")
    for name, text in hostile().items():
        if name in ("surrogate", "long"):
            continue
        page.goto(f"{path_of('hostile')}?do=close")
        page.get_by_label("What was done about it").fill(text)
        page.evaluate("document.querySelector('[name=_do]').value = 'cancel'")
        page.evaluate("document.querySelector('[name=note]').name = 'unknown'")
        page.get_by_role("button", name="Close the case").click()
        expect(page.get_by_role("alert")).to_contain_text("Say why")
        page.goto(path_of("hostile"))
        page.get_by_label("Say something").fill(text)
        page.get_by_role("button", name="Add the comment").click()
        assert page.title() != "run"
        assert story("hostile").comments[-1].text == text.strip()
    page.goto(path_of("hostile"))
    page.get_by_label("Say something").fill(hostile()["long"])
    page.get_by_role("button", name="Add the comment").click()
    expect(page.get_by_role("alert")).to_contain_text("at most 10,000 characters")
    expect(page.get_by_label("Say something")).to_have_value(hostile()["long"])


def test_data_with_hostile_words_is_amended_in_the_one_field_that_was_changed(
    page_for: PageFor, path_of: Any, story: Any
) -> None:
    before = story("hostile").data
    page = page_for("supervisor")
    page.goto(f"{path_of('hostile')}?do=amend")
    page.get_by_role("textbox", name="Zone").fill("C")
    page.get_by_role("button", name="Check and send back").click()
    expect(page.get_by_role("status")).to_contain_text("the amended case is queued")
    assert story("hostile").data == {**before, "zone": "C"}


@pytest.mark.parametrize("role", ["supervisor", "developer", "caseworker"])
def test_no_page_takes_more_than_twenty_statements(
    client_for: Any, served: Any, path_of: Any, role: str
) -> None:
    client = client_for(role)
    for address in (
        "/escalations",
        "/escalations?show=mine&sort=due&kind=question",
        "/escalations?show=reasons",
        *(path_of(name) for name in ("question", "form", "doubt", "hostile", "closed", "done")),
    ):
        with _counted(served.ledger) as statements:
            assert client.get(address).status_code == 200
        assert len(statements) <= MOST_STATEMENTS, (address, _short(statements))
    if role != "developer":
        address = f"{path_of('business')}?do=hand on"
        with _counted(served.ledger) as statements:
            client.get(address)
        assert len(statements) <= MOST_STATEMENTS, _short(statements)


# What the tests are made of.


def _sent(told: CaseStory, action: str) -> dict[str, str]:
    """What the page's form would send."""
    return {
        "_do": action,
        "_case": told.line.id,
        "_seen": str(told.escalations[-1].id),
        "answer": "yes",
        "note": "by hand",
        "reason": "twice",
        "comment": "said",
        "to": "test.supervisor@example.test",
        "due.date.day": "5",
        "due.date.month": "12",
        "due.date.year": "2026",
    }


def _answer(ledger: Ledger, case: str) -> Any:
    answers = schema.answers.c
    query = select(answers.sealed_answer).where(answers.case == case).order_by(answers.attempt.desc())
    with ledger.reading() as connection:
        sealed = connection.execute(query).scalars().first()
    assert sealed is not None
    return json.loads(ledger.key_of(case).open_text(sealed))


def _audit_length(ledger: Ledger) -> int:
    with ledger.reading() as connection:
        return len(connection.execute(select(schema.audit.c.id)).all())


def _escalate_again(
    served: Any, case: str, kind: EscalationKind, reason: str, question: str | None = None
) -> None:
    """Work a case that is queued once more, until it needs a person."""
    if any(one.name == "permits" for one in pauses.all_pauses(served.ledger)):
        pauses.resume(served.ledger, PauseKind.BOT, "permits", "s.sample@example.test")
    number = tell(served.ledger, case).line.attempts + 1
    begun = attempts.begin(served.ledger, case, number, "worker-2.benefits")
    assert begun is not None
    assert endings.end(served.ledger, begun, Escalated(kind, reason, question), "[]", Backoff(), 0.0)


def _escalated(served: Any, name: str, kind: EscalationKind, reason: str) -> str:
    case: str = getattr(served.made, name)
    _escalate_again(served, case, kind, reason)
    return case


def _doubt_again(served: Any) -> None:
    """A second attempt finds out that nobody knows of the change of the first."""
    ledger, case = served.ledger, served.made.doubt
    escalations.send_back(ledger, case, "s.sample@example.test")
    _escalate_again(served, case, EscalationKind.IN_DOUBT, "it is not known whether this was done")
    with ledger.reading() as connection:
        assert commits.unresolved(connection, case)


def _short(statements: list[str]) -> str:
    return "\n".join(" ".join(one[one.find("FROM") :].split())[:80] for one in statements)


@contextmanager
def _counted(ledger: Ledger) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            statements.append(statement)

    event.listen(ledger.engine, "before_cursor_execute", note)
    yield statements
    event.remove(ledger.engine, "before_cursor_execute", note)
