"""Two people in two browsers settle the same escalation at the same moment: one wins each time, the other is told."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from samples import Clock

from casehand.queue import attempts, endings
from casehand.queue.backoff import Backoff
from casehand.queue.cases import CaseStory, tell
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Escalated, EscalationKind
from casehand.queue.vault import Vault

TIMES = 50
PROMPT = "Put it through?"
PEOPLE = ("Ann First", "Bob Second")

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def console_ledger(ledger_url: str, vault: Vault, clock: Clock) -> Iterator[Ledger]:
    """An empty ledger of either kind."""
    opened = Ledger.open(ledger_url, vault, clock)
    yield opened
    opened.close()


@pytest.fixture
def pages(page_for: Callable[..., Page]) -> list[Page]:
    """Two people, each in a browser of his own."""
    return [page_for("caseworker", name=name) for name in PEOPLE]


def test_of_two_who_answer_at_the_same_moment_one_wins_each_time_and_the_other_is_told(
    pages: list[Page], served: Any
) -> None:
    case = served.made.question
    reference = tell(served.ledger, case).line.reference
    for number in range(TIMES):
        for page, choice in zip(pages, ("yes", "no"), strict=True):
            page.goto(f"/escalations/{reference}", wait_until="domcontentloaded")
            page.get_by_role("radio", name=choice, exact=True).check()
        _send_at_once(pages, "form:has([name=answer])", first=number % 2)
        told = [_told(page, "your answer is kept") for page in pages]
        settled = _story(served, case)
        winner = _winner(told, number)
        assert (settled.escalations[-1].settled_by, settled.escalations[-1].settlement) == (
            winner,
            "answered",
        )
        expect(_loser(pages, told).get_by_role("main")).to_contain_text(f"{winner} answered it")
        assert settled.escalations[-1].answer == ("yes", "no")[told.index("settled")]
        _ask_again(served, case, number)
    answered = [one for one in _story(served, case).audit if one["action"] == "answered"]
    assert len(answered) == TIMES


def test_of_one_who_answers_and_one_who_closes_at_the_same_moment_one_wins_each_time(
    pages: list[Page], served: Any
) -> None:
    """Whoever closes ends the case for good: each time it is another."""
    cases = [served.made.question, served.made.form, served.made.business, served.made.failure]
    for number, case in enumerate(cases):
        reference = tell(served.ledger, case).line.reference
        for page, does in zip(pages, ("close", "cancel"), strict=True):
            page.goto(f"/escalations/{reference}?do={does}", wait_until="domcontentloaded")
            page.get_by_role("textbox").last.fill("by hand")
        _send_at_once(pages, "main form:has(textarea)", first=number % 2)
        told = [_told(page, "the case is") for page in pages]
        settled = _story(served, case)
        winner = _winner(told, number)
        does = ("closed", "cancelled")[told.index("settled")]
        assert (settled.escalations[-1].settled_by, settled.line.state) == (winner, does)
        expect(_loser(pages, told).get_by_role("main")).to_contain_text(winner)
        ended = [one for one in settled.audit if one["action"] in ("closed", "cancelled")]
        assert len(ended) == 1


def _send_at_once(pages: list[Page], form: str, first: int) -> None:
    """Have both send their form at one moment by their common clock, told to them before it comes."""
    sends = "([form, at]) => setTimeout(() => document.querySelector(form).requestSubmit(), at - Date.now())"
    at = pages[0].evaluate("Date.now()") + 60
    for page in (pages[first], pages[1 - first]):
        page.evaluate(sends, [form, at])


def _told(page: Page, settled: str) -> str:
    quicker = page.get_by_role("heading", name="Somebody was quicker")
    expect(quicker.or_(page.get_by_role("status").filter(has_text=settled))).to_be_visible()
    return "quicker" if quicker.is_visible() else "settled"


def _winner(told: list[str], number: int) -> str:
    assert sorted(told) == ["quicker", "settled"], (number, told)
    return f"{PEOPLE[told.index('settled')].lower().replace(' ', '.')}@example.test"


def _loser(pages: list[Page], told: list[str]) -> Page:
    return pages[told.index("quicker")]


def _story(served: Any, case: str) -> CaseStory:
    return tell(served.ledger, case)


def _ask_again(served: Any, case: str, number: int) -> None:
    """Work the case once more, up to the next question."""
    begun = attempts.begin(
        served.ledger, case, tell(served.ledger, case).line.attempts + 1, "worker-2.benefits"
    )
    assert begun is not None
    question = {"prompt": f"{PROMPT} {number}", "choices": ["yes", "no"], "key": f"key-{number}"}
    outcome = Escalated(EscalationKind.QUESTION, PROMPT, json.dumps(question))
    assert endings.end(served.ledger, begun, outcome, "[]", Backoff(), 0.0)
