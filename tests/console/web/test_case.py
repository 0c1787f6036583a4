"""The page of one case, as each role sees it, whatever the case holds, and the forms that it leads to."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hands import until_it_listens
from playwright.sync_api import Page, expect
from samples import NOW, PERMIT, PUT_ON, RENT, SETTLES, WORKFLOWS, Sampler, hostile
from sqlalchemy import update

from casehand.console.web import case as family
from casehand.queue import attempts, comments, commits, endings, escalations, pauses, schema
from casehand.queue.backoff import Backoff
from casehand.queue.cases import find_case
from casehand.queue.commits import CommitState
from casehand.queue.known import make_known
from casehand.queue.outcome import Done, Escalated, EscalationKind, Failed
from casehand.queue.pauses import PauseKind
from casehand.queue.state import State
from casehand.settings import load_settings

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]

CASES = (
    "business",
    "question",
    "failure",
    "fault",
    "doubt",
    "closed",
    "retried",
    "cancelled",
    "working",
    "queued",
)
CASES += ("done", "form", "hostile")


@pytest.fixture
def sampler(served: Any, clock: Any, tmp_path: Path) -> Sampler:
    """Makes more cases."""
    return Sampler(served.ledger, clock, load_settings().evidence, tmp_path)


def visit(page: Page, served: Any, case: str) -> None:
    """Open the page of a case of the sample."""
    answer = page.goto(f"/cases/{served.made.cases[case]}")
    assert answer is not None
    assert answer.ok


def standing(page: Page) -> Any:
    """What says why the case is where it is."""
    return page.locator(".app-case-standing")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("role", ["supervisor", "developer"])
def test_axe_finds_nothing_and_nothing_is_wider_than_a_telephone(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing, case: str, role: str
) -> None:
    page = page_for(role, viewport={"width": 375, "height": 740})
    visit(page, served, case)
    for summary in page.locator("details > summary").all():
        summary.click()
    finds_nothing(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_the_reference_is_the_heading_and_the_address_and_the_ids_are_details(
    page_for: PageFor, served: Any
) -> None:
    page = page_for("viewer")
    visit(page, served, "done")
    assert page.url == f"{served.url}/cases/HB000100?case={served.made.done}"
    expect(page.get_by_role("heading", level=1)).to_contain_text("HB000100")
    expect(page.get_by_text(served.made.done)).to_be_hidden()
    page.get_by_text("Technical details").click()
    expect(page.get_by_text(served.made.done)).to_be_visible()


def test_what_came_in_what_was_changed_and_what_came_of_it(page_for: PageFor, served: Any) -> None:
    page = page_for("caseworker")
    visit(page, served, "done")
    came_in = page.get_by_role("region", name="What came in")
    expect(came_in).to_contain_text("Weekly rent")
    expect(came_in).to_contain_text("30 November 2026")
    expect(came_in).to_contain_text("Claimant Personal")
    expect(came_in).to_contain_text("Mx Test Ash")
    changed = page.get_by_role("region", name="What was changed in the legacy system")
    expect(changed).to_contain_text("Put the new rent on the claim")
    expect(changed).to_contain_text(
        "Saved at Tuesday 24 November 2026 at 10:30am, and read back from benefits by attempt 1: weekly award 112.40."
    )
    assert changed.locator("figcaption").all_inner_texts() == ["Before", "After"]
    happened = page.get_by_role("region", name="What happened")
    assert happened.get_by_role("heading", level=3).all_inner_texts() == ["Came in", "Attempt 1"]
    steps = happened.locator(".app-case-steps > li").all_inner_texts()
    assert [step.split("  ")[0].split(" 10:")[0] for step in steps] == [
        "Opens benefits",
        "Find the claim",
        "Begins: put the new rent on the claim",
        "Saved and read back: put the new rent on the claim",
    ]


@pytest.mark.parametrize(
    ("case", "why", "onward"),
    [
        ("done", "A robot finished it at Tuesday 24 November 2026 at 10:30am.", "nothing, it is over."),
        ("business", "The rules leave it to a person. The claim is closed", "a person decides."),
        ("doubt", "Not known whether a change was made.", "a person decides."),
        (
            "closed",
            "s.sample@example.test closed it at Tuesday 24 November 2026 at 9:42am: done by hand.",
            "nothing",
        ),
        ("cancelled", "s.sample@example.test cancelled it", "nothing, it is over."),
        (
            "working",
            "A robot is working it: attempt 1, since Tuesday 24 November 2026",
            "it is done, tried again",
        ),
        ("queued", "It waits for its turn.", "a robot works it as soon as one is free."),
    ],
)
def test_a_case_says_why_it_is_where_it_is_and_what_happens_next(
    page_for: PageFor, served: Any, case: str, why: str, onward: str
) -> None:
    page = page_for("viewer")
    visit(page, served, case)
    expect(standing(page)).to_contain_text(why)
    expect(standing(page)).to_contain_text(f"Next: {onward}")


def test_a_retry_says_when_and_after_what(page_for: PageFor, served: Any, sampler: Sampler) -> None:
    sampler.work(served.made.queued, Failed("the page did not load", bot="benefits"))
    page = page_for("viewer")
    visit(page, served, "queued")
    expect(standing(page)).to_contain_text("attempt 1 could not finish it: the page did not load")
    expect(standing(page)).to_contain_text("a robot works it at Tuesday 24 November 2026 at 10:4")


def test_a_case_that_is_held_up_says_by_what(page_for: PageFor, served: Any) -> None:
    page = page_for("viewer")
    pauses.pause(served.ledger, PauseKind.WORKFLOW, RENT, "new rents", "s.sample@example.test")
    visit(page, served, "queued")
    expect(standing(page)).to_contain_text(
        f"because the workflow {RENT} is paused by s.sample@example.test since Tuesday 24 November 2026"
    )
    expect(standing(page)).to_contain_text("Next: it is worked when that is resumed.")


def test_a_case_that_waits_for_another_says_what_that_one_waits_for(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    ledger, reference = served.ledger, find_case(served.ledger, served.made.queued).reference
    make_known(ledger, "housing-benefit/visits", ["benefits"], timedelta(minutes=5))
    cases = schema.cases.c
    with ledger.writing() as connection:
        # Both are of the system that the bot benefits has to do with, and this one came in later.
        later = {"workflow": "housing-benefit/visits", "reference": reference, "state": State.QUEUED}
        connection.execute(update(schema.cases).where(cases.id == served.made.cancelled).values(**later))
        connection.execute(
            update(schema.cases).where(cases.id == served.made.cancelled).values(handed_in_at=ledger.clock())
        )
    pauses.pause(ledger, PauseKind.WORKFLOW, RENT, "the rules change", "s.sample@example.test")
    page = page_for("viewer")
    page.goto(f"/cases/{served.made.cancelled}")
    expect(standing(page)).to_contain_text(
        f"It waits for another case with this reference, of {RENT}, to be worked"
    )
    expect(standing(page)).to_contain_text(
        f"That one waits, because the workflow {RENT} is paused by s.sample@example.test since"
    )
    expect(standing(page)).to_contain_text("(the rules change)")
    finds_nothing(page)
    standing(page).get_by_role("link", name="another case with this reference").click()
    expect(page.get_by_text(served.made.queued)).to_be_attached()
    other = page_for("viewer", workflows=["housing-benefit/visits"])
    other.goto(f"/cases/{served.made.cancelled}")
    expect(standing(other)).to_contain_text(
        "It waits for another case with this reference to be worked first."
    )
    assert RENT not in other.get_by_role("main").inner_text()


def test_what_was_answered_stands_in_the_timeline_for_those_who_may_read_it(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    ledger, made = served.ledger, served.made
    nasty = hostile()["markup"]
    escalations.answer(ledger, made.question, "no", "s.sample@example.test")
    given = {"zone": nasty, "fee": "42.50", "remind": True}
    escalations.answer(ledger, made.form, given, "s.sample@example.test")
    page = page_for("viewer")
    visit(page, served, "question")
    happened = page.get_by_role("region", name="What happened")
    expect(happened.get_by_role("term")).to_have_text(["Answer"])
    expect(happened.get_by_role("definition")).to_have_text(["no"])
    visit(page, served, "form")
    happened = page.get_by_role("region", name="What happened")
    expect(happened.get_by_role("term")).to_have_text(["Zone", "Fee in pounds", "Send a reminder"])
    expect(happened.get_by_role("definition")).to_have_text([nasty, "42.50", "Yes"])
    assert page.title() != "run"
    finds_nothing(page)
    developer = page_for("developer")
    visit(developer, served, "form")
    expect(developer.get_by_role("region", name="What happened").get_by_role("definition")).to_have_count(0)
    assert "42.50" not in developer.content()


def test_of_a_question_that_was_answered_twice_each_answer_stands_where_it_was_given(
    page_for: PageFor, served: Any, sampler: Sampler, clock: Any
) -> None:
    escalations.answer(served.ledger, served.made.question, "no", "s.sample@example.test")
    clock.pass_time(minutes=1)
    sampler.ask(served.made.question, "The rent rises by 14%. Put it through?", choices=["yes", "no"])
    escalations.answer(served.ledger, served.made.question, "yes", "t.sample@example.test")
    page = page_for("viewer")
    visit(page, served, "question")
    heading = page.get_by_role("heading", name="Put in front of a person")
    asked = page.get_by_role("listitem").filter(has=heading)
    expect(asked).to_have_count(2)
    expect(asked.nth(1).get_by_role("definition")).to_have_text(["yes"])
    expect(asked.nth(0).get_by_role("definition")).to_have_text(["no"])
    expect(asked.nth(0)).to_contain_text("s.sample@example.test")
    expect(asked.nth(1)).to_contain_text("t.sample@example.test")


def test_the_page_changes_while_one_looks(page_for: PageFor, served: Any) -> None:
    page = page_for("viewer")
    visit(page, served, "queued")
    until_it_listens(page)
    escalations.cancel(served.ledger, served.made.queued, "s.sample@example.test", "handed in twice")
    expect(standing(page)).to_contain_text("s.sample@example.test cancelled it")
    expect(page.get_by_role("region", name="What you can do now")).to_have_count(0)


OF_EVERYBODY = ["Take it", "Hand it on", "Answer what is asked", "Send it back to be worked again"]
OF_EVERYBODY += ["Amend it and send it back", "Close it", "Cancel it", "Add a comment"]


@pytest.mark.parametrize(
    ("role", "case", "offers"),
    [
        ("viewer", "question", []),
        ("developer", "question", []),
        ("caseworker", "question", OF_EVERYBODY),
        ("supervisor", "question", [*OF_EVERYBODY, "Set the due date", "Set the priority"]),
        ("administrator", "queued", ["Cancel it", "Add a comment", "Set the due date", "Set the priority"]),
        ("caseworker", "working", ["Add a comment"]),
        ("caseworker", "done", ["Add a comment"]),
        ("supervisor", "closed", ["Add a comment"]),
    ],
)
def test_only_what_is_allowed_now_is_offered(
    page_for: PageFor, served: Any, role: str, case: str, offers: list[str]
) -> None:
    page = page_for(role)
    visit(page, served, case)
    found = page.get_by_role("region", name="What you can do now").get_by_role("link").all_inner_texts()
    assert found == offers


def test_what_somebody_else_has_taken_is_his(page_for: PageFor, served: Any) -> None:
    page = page_for("caseworker")
    with served.ledger.writing() as connection:
        of_case = schema.escalations.c.case == served.made.question
        connection.execute(
            update(schema.escalations)
            .where(of_case)
            .values(assigned_to="other@example.test", assigned_at=NOW)
        )
    visit(page, served, "question")
    expect(standing(page)).to_contain_text("other@example.test has taken it")
    found = page.get_by_role("region", name="What you can do now").get_by_role("link").all_inner_texts()
    assert found == ["Add a comment"]


def test_a_developer_sees_how_it_went_and_nothing_of_what_the_case_holds(
    page_for: PageFor, served: Any, sampler: Sampler
) -> None:
    secret = "the landlord of Mx Test Larch has moved"
    comments.comment(served.ledger, served.made.fault, secret, "c.sample@example.test")
    again = sampler.take_in("more", WORKFLOWS[RENT], [_rent("HB000900")])["HB000900"]
    reason = "the workflow has a fault: KeyError at rent_change.py:41"
    sampler.escalate(again, EscalationKind.FAULT, reason)
    page = page_for("developer")
    for case in ("fault", "question", "done", "doubt", "closed"):
        visit(page, served, case)
        shown = page.content()
        for hidden in (
            "Mx Test",
            secret,
            "KeyError in the workflow",
            "rises by 14",
            "112.40",
            "127.0.0.1:1/",
            "/evidence/",
        ):
            assert hidden not in shown, (case, hidden)
        assert "99.45" not in shown
        assert "done by hand" not in shown
        expect(page.get_by_text("What a case holds is hidden from developers.")).to_be_visible()
        assert page.locator(".app-case-steps > li").count() > 0
    page.goto("/cases/HB000900")
    expect(page.get_by_role("region", name="What happened")).to_contain_text("KeyError at rent_change.py:41")


@pytest.mark.parametrize("role", ["viewer", "caseworker"])
def test_the_audit_of_the_case_is_for_who_may_see_the_audit(
    page_for: PageFor, served: Any, role: str
) -> None:
    page = page_for(role)
    visit(page, served, "closed")
    expect(page.get_by_text("Audit of this case")).to_have_count(0)


def test_a_supervisor_sees_the_audit_of_the_case(page_for: PageFor, served: Any) -> None:
    page = page_for("supervisor")
    visit(page, served, "closed")
    page.get_by_text("Audit of this case").first.click()
    rows = page.get_by_role("table", name="Audit of this case").get_by_role("row").all_inner_texts()
    assert [row.split("\t")[2] for row in rows[1:]] == [
        "taken in",
        "begun (attempt 1)",
        "escalated (attempt 1)",
        "closed",
    ]


def test_a_case_of_another_workflow_is_not_there(page_for: PageFor, served: Any) -> None:
    page = page_for("supervisor", workflows=(PERMIT,))
    case = served.made.question
    for path in (
        f"/cases/{case}",
        "/cases/HB000107",
        f"/case/{case}/cancel",
        f"/evidence/{case}/1/01-question.jpg",
    ):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 404, path
    assert page.request.post(f"/case/{case}/comment", form={"text": "x"}, headers=_same(served)).status == 404


def test_of_several_with_one_reference_the_open_one_is_meant_and_the_others_are_listed(
    page_for: PageFor, served: Any, sampler: Sampler, finds_nothing: FindsNothing
) -> None:
    with sampler.clock.ago(minutes=30):
        again = sampler.take_in("again", WORKFLOWS[RENT], [_rent("HB000100")])["HB000100"]
    page = page_for("viewer")
    page.goto("/cases/HB000100")
    expect(page.get_by_text("Queued").first).to_be_visible()
    page.get_by_role("region", name="Other cases with this reference").get_by_role("link").click()
    expect(standing(page)).to_contain_text("A robot finished it")
    finds_nothing(page)
    others = page.get_by_role("region", name="Other cases with this reference")
    expect(others.get_by_role("link")).to_have_attribute("href", f"/cases/HB000100?case={again}")


def test_an_erased_case_tells_what_is_left(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    with served.ledger.writing() as connection:
        of_case = schema.cases.c.id == served.made.closed
        connection.execute(update(schema.cases).where(of_case).values(key=None))
    page = page_for("supervisor")
    visit(page, served, "closed")
    expect(page.get_by_text("What this case held has been erased.")).to_be_visible()
    expect(standing(page)).to_contain_text("s.sample@example.test closed it")
    finds_nothing(page)


def test_many_attempts_are_told_a_few_at_first(
    page_for: PageFor, served: Any, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "LATEST", 2)
    case = served.made.queued
    for _ in range(3):
        sampler.work(case, Failed("the page did not load", bot="benefits"))
        sampler.clock.pass_time(hours=1)
    page = page_for("viewer")
    visit(page, served, "queued")
    expect(page.get_by_role("heading", name="Attempt 1")).to_have_count(0)
    page.get_by_role("link", name="Show all attempts").click()
    expect(page.get_by_role("heading", name="Attempt 1")).to_be_visible()


def test_a_case_is_cancelled_with_a_reason_by_keyboard_and_without_scripts(
    page_for: PageFor, served: Any, tab_to: Callable[..., None], finds_nothing: FindsNothing
) -> None:
    page = page_for("caseworker")
    visit(page, served, "queued")
    tab_to(page, "link", "Cancel it")
    page.keyboard.press("Enter")
    tab_to(page, "button", "Cancel the case")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Say why it is cancelled")
    finds_nothing(page)
    tab_to(page, "textbox", "Why is it cancelled?")
    page.keyboard.type("handed in twice")
    tab_to(page, "button", "Cancel the case")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The case is cancelled.")).to_be_visible()
    finds_nothing(page)
    assert find_case(served.ledger, served.made.queued).reason == "handed in twice"
    answer = page.goto(f"/case/{served.made.queued}/cancel")
    assert answer is not None
    assert answer.status == 409


def test_a_comment_is_kept_and_shown_as_it_was_typed(page_for: PageFor, served: Any) -> None:
    page = page_for("caseworker", java_script_enabled=False)
    visit(page, served, "done")
    page.get_by_role("link", name="Add a comment").click()
    page.get_by_label("Comment").fill("x" * 10_001)
    page.get_by_role("button", name="Add the comment").click()
    expect(page.get_by_role("alert")).to_contain_text("at most 10,000 characters")
    expect(page.get_by_label("Comment")).to_have_value("x" * 10_001)
    page.get_by_label("Comment").fill("<b>Rang</b> the landlord\nagain")
    page.get_by_role("button", name="Add the comment").click()
    said = page.get_by_role("region", name="Comments")
    expect(said).to_contain_text("test.caseworker@example.test")
    assert "<b>Rang</b> the landlord\nagain" in said.inner_text()


def test_the_due_date_and_the_priority_are_set_by_a_supervisor(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor", java_script_enabled=False)
    visit(page, served, "queued")
    page.get_by_role("link", name="Set the due date").click()
    finds_nothing_without_scripts = page.get_by_label("By which day must it be settled?")
    expect(finds_nothing_without_scripts).to_have_value("2026-11-25")
    finds_nothing_without_scripts.fill("2026-12-01")
    page.get_by_role("button", name="Set the due date").click()
    expect(page.get_by_text("The due date is set.")).to_be_visible()
    due = find_case(served.ledger, served.made.queued).due
    assert due is not None
    assert due.date() == date(2026, 12, 1)
    page.get_by_role("link", name="Set the priority").click()
    page.get_by_label("Priority").fill("a lot")
    page.get_by_role("button", name="Set the priority").click()
    expect(page.get_by_role("alert")).to_contain_text("whole number from -1,000 to 1,000")
    page.get_by_label("Priority").fill("7")
    page.get_by_role("button", name="Set the priority").click()
    expect(page.get_by_text("The priority is set.")).to_be_visible()
    assert find_case(served.ledger, served.made.queued).priority == 7


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", set()),
        ("developer", set()),
        ("caseworker", {"cancel", "comment"}),
        ("supervisor", {"cancel", "comment", "due", "priority"}),
        ("administrator", {"cancel", "comment", "due", "priority"}),
    ],
)
def test_each_form_is_for_those_who_may(page_for: PageFor, served: Any, role: str, may: set[str]) -> None:
    page = page_for(role)
    sent = {
        "comment": {"text": "x"},
        "due": {"due": ""},
        "priority": {"priority": "1"},
        "cancel": {"reason": "x"},
    }
    for name, form in sent.items():
        path = f"/case/{served.made.queued}/{name}"
        shown, done = page.request.get(path), page.request.post(path, form=form, headers=_same(served))
        assert (shown.status, done.status) == ((200, 200) if name in may else (403, 403)), name


@pytest.mark.parametrize(
    "kind", [name for name in hostile() if name not in ("control", "surrogate", "long", "hidden", "turned")]
)
def test_a_hostile_reference_has_a_page_a_link_and_forms(
    page_for: PageFor, served: Any, sampler: Sampler, finds_nothing: FindsNothing, kind: str
) -> None:
    reference = hostile()[kind]
    row = {"permit": reference, "vehicle": "TE57 AAA", "zone": "B", "notes": ""}
    (case,) = sampler.take_in("hostile", WORKFLOWS[PERMIT], [row]).values()
    page = page_for("supervisor")
    page.goto(f"/cases?workflow={PERMIT}")
    page.get_by_role("table").get_by_role("row").nth(1).get_by_role("link").first.click()
    assert page.get_by_role("heading", level=1).locator("bdi").inner_text() == reference.strip()
    assert page.title() != "run"
    finds_nothing(page)
    page.get_by_role("link", name="Add a comment").click()
    page.get_by_label("Comment").fill("seen")
    page.get_by_role("button", name="Add the comment").click()
    expect(page.get_by_text("Your comment is kept with the case.")).to_be_visible()
    assert page.url.endswith("said=commented")
    assert case in page.url


@pytest.mark.parametrize("reference", [".", "..", "a/b", "a//b/", "100% sure"])
def test_a_reference_that_looks_like_a_path_has_its_page(
    page_for: PageFor, sampler: Sampler, reference: str
) -> None:
    row = {"permit": reference, "vehicle": "TE57 AAA", "zone": "B", "notes": ""}
    sampler.take_in("paths", WORKFLOWS[PERMIT], [row])
    page = page_for("viewer")
    page.goto(f"/cases?workflow={PERMIT}")
    page.get_by_role("table").get_by_role("row").nth(1).get_by_role("link").first.click()
    assert page.get_by_role("heading", level=1).locator("bdi").inner_text() == reference


@pytest.mark.parametrize("width", [1280, 375])
def test_hostile_data_in_every_field_runs_nothing_and_breaks_nothing(
    page_for: PageFor, served: Any, sampler: Sampler, finds_nothing: FindsNothing, width: int
) -> None:
    nasty = hostile()
    everything = " ".join(nasty.values())
    kept = everything.encode("utf-8", "replace").decode()
    case = sampler.take_in("nasty", WORKFLOWS[PERMIT], [_permit(nasty)])["PP-NASTY"]
    key = served.ledger.key_of(case)
    ledger = served.ledger
    with ledger.writing() as connection:
        data = {
            "permit": "PP-NASTY",
            "zone": nasty["markup"],
            "vehicle": everything,
            "notes": [everything, {"<b>": kept}],
        }
        sealed = key.seal(json.dumps(data).encode())
        connection.execute(
            update(schema.cases)
            .where(schema.cases.c.id == case)
            .values(sealed_data=sealed, not_before=NOW - timedelta(1))
        )
        connection.execute(schema.pauses.delete())
    begun = attempts.begin(ledger, case, 1, "worker-1.permits")
    assert begun is not None
    name = nasty["markup"]
    intent = commits.intend(ledger, case, 1, name, "permits", SETTLES)
    assert intent is not None
    assert commits.resolve(ledger, case, 1, intent, CommitState.MADE)
    at = NOW.isoformat()
    steps = [
        {
            "name": everything,
            "at": at,
            "seconds": 1.0,
            "end": nasty["markup"],
            "evidence": "../../../etc/passwd",
        },
        {"name": f"made: {name}", "at": at, "evidence": '"><script>'},
    ]
    question = json.dumps({"prompt": everything, "choices": [everything], "key": "x"})
    outcome = Escalated(EscalationKind.QUESTION, everything, question)
    assert endings.end(ledger, begun, outcome, json.dumps(steps), Backoff(), 0.0) is not None
    comments.comment(ledger, case, kept[:9_000], nasty["markup"][:60])
    page = page_for("supervisor", viewport={"width": width, "height": 800})
    page.goto("/cases/PP-NASTY")
    for summary in page.locator("details > summary").all():
        summary.click()
    assert page.title().startswith("Case PP-NASTY ")
    assert page.locator("main script, main img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    finds_nothing(page)


def test_a_result_and_a_change_of_a_person_are_told(page_for: PageFor, served: Any, sampler: Sampler) -> None:
    escalations.answer(served.ledger, served.made.doubt, escalations.WAS_DONE, "c.sample@example.test")
    sampler.clock.pass_time(minutes=5)
    sampler.work(served.made.doubt, Done(json.dumps({"weekly_award": "99.00", "letter_sent": True})))
    page = page_for("viewer")
    visit(page, served, "doubt")
    changed = page.get_by_role("region", name="What was changed in the legacy system")
    expect(changed).to_contain_text("Saved c.sample@example.test said so, Tuesday 24 November 2026")
    expect(page.get_by_role("region", name="What came of it")).to_contain_text("Letter sent")
    expect(page.get_by_role("region", name="What happened")).to_contain_text("Said that the change was made")
    assert PUT_ON in changed.inner_text().lower()


def test_what_the_system_showed_before_and_after_stands_beside_the_change(
    page_for: PageFor, served: Any, sampler: Sampler, finds_nothing: FindsNothing
) -> None:
    case = served.made.queued
    begun = sampler.begin(case)
    intent = commits.intend(served.ledger, case, begun.number, PUT_ON, "benefits", SETTLES)
    assert intent is not None
    assert commits.resolve(served.ledger, case, begun.number, intent, CommitState.MADE)
    at = NOW.isoformat()
    steps = [
        {"name": f"begins: {PUT_ON}", "at": at, "shows": {"weekly award": "£104.10"}},
        {"name": f"made: {PUT_ON}", "at": at, "shows": {"weekly award": "£112.40", "<b>": "=1+1"}},
    ]
    assert endings.end(served.ledger, begun, Done(None), json.dumps(steps), Backoff(), 0.0) is not None
    page = page_for("viewer", viewport={"width": 375, "height": 740})
    visit(page, served, "queued")
    changed = page.get_by_role("region", name="What was changed in the legacy system")
    expect(changed).to_contain_text("and read back from benefits by attempt 1: weekly award £112.40")
    row = page.get_by_role("table", name="What benefits showed before and after").get_by_role("row").nth(1)
    assert row.inner_text().split("\t") == ["Weekly award", "£104.10", "£112.40"]
    finds_nothing(page)
    developer = page_for("developer")
    visit(developer, served, "queued")
    assert "112.40" not in developer.content()


def _rent(reference: str) -> dict[str, str]:
    return {"claim": reference, "weekly_rent": "90.00", "from_date": "2026-11-30", "claimant": "Mx Test Oak"}


def _permit(nasty: dict[str, str]) -> dict[str, str]:
    return {"permit": "PP-NASTY", "vehicle": nasty["markup"], "zone": "B", "notes": ""}


def _same(served: Any) -> dict[str, str]:
    """What a browser says of what it sends from one of our pages."""
    return {"origin": served.url, "sec-fetch-site": "same-origin"}
