"""The one search box."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from casehand.queue import escalations, schema, words
from casehand.queue.attempts import Begun
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.search import search
from casehand.queue.similar import waiting_by_reason
from casehand.queue.words import MOST, alike_of, catch_up, digests_of, forget, words_of

TakeIn = Callable[..., str]
Escalate = Callable[..., Begun]
PassTime = Callable[..., None]


@pytest.fixture
def find(ledger: Ledger) -> Callable[..., list[str]]:
    """What is found, by reference, all pages of that size put together."""

    def all_pages(text: str, workflows: list[str] | None = None, size: int = 50) -> list[str]:
        found: list[str] = []
        after = None
        while page := search(ledger, text, workflows, size, after):
            assert len(page) <= size
            found += [line.reference for line in page]
            after = page[-1].id
        return found

    return all_pages


def test_a_reference_is_found_by_itself_and_by_its_beginning(
    take_in: TakeIn, find: Callable[..., list[str]]
) -> None:
    for reference in ("HB000125", "HB000126", "HB00012", "HC000125", "hb000127"):
        take_in(reference)

    assert find("HB000125") == ["HB000125"]
    assert find("HB0001") == ["HB00012", "HB000125", "HB000126", "hb000127"]
    assert find(" hb000126 ") == ["HB000126"]
    assert find("B000") == []
    assert find("HB%") == find("HB_") == find("") == find("  ") == find("\0") == []


def test_a_batch_is_found_by_the_beginning_of_its_name(
    take_in: TakeIn, find: Callable[..., list[str]], pass_time: PassTime
) -> None:
    take_in("HB000002", batch="rent-changes-2026-11-22", line=3)
    take_in("HB000001", batch="rent-changes-2026-11-22", line=2)
    take_in("HB000003", batch="rent-changes-2026-11-22-2")
    take_in("HB000004", batch="refunds")

    assert find("rent-ch") == ["HB000001", "HB000002", "HB000003"]
    assert find("Refunds") == ["HB000004"]


def test_a_case_is_found_by_every_word_of_its_reason(
    take_in: TakeIn, escalate: Escalate, find: Callable[..., list[str]]
) -> None:
    escalate(take_in("HB000001"), reason="the claim is closed since 3 May 2026")
    escalate(take_in("HB000002"), reason="the landlord's bank refuses £112.40")
    escalate(take_in("HB000003"), reason="the CLAIM is suspended")
    take_in("HB000004")

    assert find("claim") == ["HB000003", "HB000001"]
    assert find("Closed claim") == ["HB000001"]
    assert find("claim bank") == []
    assert find("112.40") == ["HB000002"]
    assert find("landlord") == ["HB000002"]
    assert find("3 may") == ["HB000001"]
    assert find("is") == []


def test_each_case_comes_once_whatever_it_is_found_by_and_however_it_is_paged(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, find: Callable[..., list[str]], pass_time: PassTime
) -> None:
    for number in range(3):
        take_in(f"rent{number}", batch="rents")
        take_in(f"HB00000{number}", batch="rents")
        case = take_in(f"HB00001{number}")
        for reason in ("the rent rises", "the rent is too high"):
            escalate(case, reason=reason)
            escalations.send_back(ledger, case, "a person")
        escalate(take_in(f"rent9{number}"), reason="the rent is too high")
        pass_time(seconds=1)

    whole = find("rent")

    references = [*(f"rent{n}" for n in range(3)), *(f"rent9{n}" for n in range(3))]
    of_batch = [f"HB00000{n}" for n in range(3)]
    by_words = ["HB000012", "HB000011", "HB000010"]
    assert whole == references + of_batch + by_words
    for size in range(1, 13):
        assert find("rent", size=size) == whole


def test_nothing_is_found_of_a_workflow_that_a_person_may_not_see(
    take_in: TakeIn, escalate: Escalate, find: Callable[..., list[str]], known: str
) -> None:
    for number, workflow in enumerate((known, "council-tax/refund", "parking/permit")):
        case = take_in(f"X{number}", workflow=workflow, batch="batch" if workflow == known else None)
        escalate(case, reason="the claim is closed")

    assert find("X", [known]) == ["X0"]
    assert find("X", ["parking/permit", "council-tax/refund"]) == ["X1", "X2"]
    assert find("claim", ["parking/permit"]) == ["X2"]
    assert find("batch", ["parking/permit"]) == []
    assert find("X", []) == find("claim", []) == find("batch", []) == []


def test_every_batch_is_found_however_many_there_are(take_in: TakeIn, find: Callable[..., list[str]]) -> None:
    expected = []
    for number in range(120):
        take_in(f"HB{number:06}", batch=f"rents-{number:03}")
        expected.append(f"HB{number:06}")
    assert find("rents") == expected
    assert find("rents", size=100) == expected


def test_a_text_of_any_kind_finds_nothing_and_breaks_nothing(
    take_in: TakeIn, find: Callable[..., list[str]]
) -> None:
    take_in()
    for text in (
        "'; DROP TABLE cases --",
        "x" * 100_000,
        "\u202e",
        "\ud800",
        "🙂",
        "\U0010ffff",
        "%",
        "a" + "\0",
    ):
        assert find(text) == []


def test_the_ledger_holds_no_word_of_a_reason(ledger: Ledger, take_in: TakeIn, escalate: Escalate) -> None:
    escalate(take_in(), reason="Mrs Sample is deceased")
    with ledger.reading() as connection:
        digests = connection.execute(select(schema.words.c.digest)).scalars().all()
    assert len(digests) == 3
    assert not any(b"deceased" in digest or b"sample" in digest for digest in digests)
    assert set(digests) == set(digests_of(ledger.vault, "SAMPLE deceased, mrs."))


def test_nothing_is_left_of_a_reason_that_is_forgotten(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, find: Callable[..., list[str]]
) -> None:
    gone, kept = take_in("HB000001"), take_in("HB000002")
    escalate(gone, reason="the claim is closed")
    escalate(kept, reason="the claim is closed")

    with ledger.writing() as connection:
        forget(connection, gone)

    assert find("claim") == ["HB000002"]
    with ledger.reading() as connection:
        assert connection.execute(select(func.count()).select_from(schema.words)).scalar() == 3
    assert catch_up(ledger) == 0


def test_reasons_from_before_the_index_are_caught_up_with(
    ledger: Ledger,
    take_in: TakeIn,
    escalate: Escalate,
    find: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5):
        escalate(take_in(f"HB00000{number}"), reason="the claim is closed")
    erased = take_in("HB000009")
    escalate(erased, reason="the claim is closed")
    with ledger.writing() as connection:
        connection.execute(schema.words.delete())
        connection.execute(update(schema.escalations).values(alike=None))
        connection.execute(update(schema.cases).where(schema.cases.c.id == erased).values(key=None))
    assert find("claim") == []

    monkeypatch.setattr(words, "AT_ONCE", 4)
    assert [catch_up(ledger), catch_up(ledger), catch_up(ledger)] == [4, 2, 0]

    assert find("claim") == [f"HB00000{number}" for number in reversed(range(5))]


def test_words_are_alike_however_they_are_written() -> None:
    assert words_of("The \uff23LAIM is closed—closed! £1,112.40 on 3/5, Straße") == [
        *("the", "claim", "closed", "1112.40", "3", "5", "strasse"),
    ]
    assert len(words_of(" ".join(f"word{number}" for number in range(1_000)))) == MOST
    assert words_of("\ud800 \0 \u202e") == []


def test_reasons_that_differ_in_their_numbers_only_are_alike(ledger: Ledger) -> None:
    def alike(reason: str, workflow: str = "w") -> bytes:
        return alike_of(ledger.vault, workflow, reason)

    same = alike("the rent of HB000125 rises by 14% to £112.40")
    assert alike("The rent of HB000999 rises  by 3% to £1,080.00") == same
    assert alike("the rent of HB000125 falls by 14% to £112.40") != same
    assert alike("the rent of HB000125 rises by 14% to £112.40", "another") != same


def test_what_waits_is_grouped_by_reasons_that_are_alike(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, pass_time: PassTime, known: str
) -> None:
    oldest = ledger.clock()
    for number in range(3):
        escalate(take_in(f"HB00000{number}"), reason=f"the rent rises by {number}%")
        pass_time(hours=1)
    escalate(take_in("CT000001", workflow="council-tax/refund"), reason="the account is closed")

    most, other = waiting_by_reason(ledger)

    assert (most.workflow, most.number, most.oldest) == (known, 3, oldest)
    assert most.example is not None
    assert (most.example.reference, most.example.reason) == ("HB000002", "the rent rises by 2%")
    assert other.oldest == oldest + timedelta(hours=3)
    alike = escalations.EscalationFilter(alike=most.alike)
    assert len(escalations.list_waiting(ledger, alike)) == 3
    assert [one.number for one in waiting_by_reason(ledger, ["council-tax/refund"])] == [1]
    assert waiting_by_reason(ledger, [], with_examples=False) == []
    assert waiting_by_reason(ledger, limit=1, with_examples=False)[0].example is None


def test_most_reasons_come_first_whatever_else_they_differ_in(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, pass_time: PassTime, known: str
) -> None:
    kinds, reasons = (EscalationKind.BUSINESS, EscalationKind.FAILURE), ("it is closed", "it is away", "")
    for number in range(20):
        of = "council/1" if number % 5 > 2 else known
        case = take_in(f"HB{number:06}", workflow=of)
        escalate(case, kinds[number % 2], reasons[number % 3])
        pass_time(minutes=1)
    escalations.close(ledger, case, "a person", "done by hand")

    found = waiting_by_reason(ledger)

    assert (len(found), sum(one.number for one in found)) == (11, 19)
    assert [(-one.number, one.oldest) for one in found] == sorted((-one.number, one.oldest) for one in found)
    assert [one.number for one in waiting_by_reason(ledger, limit=3)] == [one.number for one in found[:3]]
    of_one = waiting_by_reason(ledger, ["council/1"])
    assert of_one == [one for one in found if one.workflow == "council/1"]


def test_what_waits_for_reasons_that_are_not_indexed_yet_is_grouped_too(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, known: str
) -> None:
    for number in range(3):
        escalate(take_in(f"HB00000{number}"), reason="the claim is closed")
    with ledger.writing() as connection:
        connection.execute(update(schema.escalations).values(alike=None))

    assert [(one.alike, one.number) for one in waiting_by_reason(ledger)] == [(None, 3)]
