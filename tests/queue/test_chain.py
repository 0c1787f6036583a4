"""The chain of the audit: whatever is done to an entry afterwards is found."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from casehand.exceptions import CasehandError
from casehand.queue import audit, schema
from casehand.queue.audit import EntryFilter, all_entries, find_entries
from casehand.queue.chain import ROUNDS, ROWS, ChainHead, link_new, tell_head, verify
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import PauseKind, pause

PassTime = Callable[..., None]


def _write(ledger: Ledger, number: int, actor: str = "a person", **more: str) -> None:
    for one in range(number):
        with ledger.writing() as connection:
            audit.record(connection, ledger.clock(), actor, "closed", f"case-{one}", **more)  # type: ignore[arg-type]


@contextmanager
def _meddling(ledger: Ledger) -> Iterator[Connection]:
    """A connection of somebody who owns the database, and has taken the triggers away."""
    with ledger.writing() as connection:
        on = " ON audit" if connection.dialect.name == "postgresql" else ""
        for trigger in ("audit_is_kept", "audit_stays"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger}{on}"))
        yield connection


def _meddle(ledger: Ledger, *statements: str) -> None:
    with _meddling(ledger) as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_chain_that_nobody_touched_is_whole(ledger: Ledger) -> None:
    assert verify(ledger).head == ChainHead(0, b"")
    _write(ledger, 5, reason="asked for by the manager", detail="state escalated: 5 cases")

    verdict = verify(ledger)

    assert (verdict.broken, verdict.checked, verdict.not_linked) == (None, 5, 0)
    assert verdict.head is not None
    assert verdict.head.length == 5
    _write(ledger, 3)
    assert verify(ledger, [verdict.head]).checked == 8


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "'somebody else'"),
        ("action", "'cancelled'"),
        ("subject", "'case-9'"),
        ("reason", "'another'"),
        ("reason", "NULL"),
        ("detail", "'x'"),
        ("attempt", "7"),
        ("after", "'done'"),
        ("at", "'2020-01-01 00:00:00.000000+00:00'"),
        ("id", "4711"),
    ],
)
def test_a_changed_entry_is_found(ledger: Ledger, column: str, value: str) -> None:
    _write(ledger, 5, reason="asked for")
    verify(ledger)
    _meddle(ledger, f'UPDATE audit SET "{column}" = {value} WHERE place = 3')  # noqa: S608 — the lines above

    verdict = verify(ledger)

    assert verdict.checked == 2
    assert "place 3: the entry is not as it was written" in str(verdict.broken)


def test_a_removed_entry_is_found(ledger: Ledger) -> None:
    _write(ledger, 5)
    verify(ledger)
    _meddle(ledger, "DELETE FROM audit WHERE place = 3")
    assert verify(ledger).broken == "place 3: the entry that stood there is gone"


def test_a_removed_entry_is_found_when_the_others_move_up(ledger: Ledger) -> None:
    _write(ledger, 5)
    verify(ledger)
    _meddle(
        ledger,
        "DELETE FROM audit WHERE place = 3",
        "UPDATE audit SET place = place - 1 WHERE place = 4",
        "UPDATE audit SET place = place - 1 WHERE place = 5",
    )
    assert "place 3: the entry is not as it was written" in str(verify(ledger).broken)


def test_an_entry_put_in_between_is_found(ledger: Ledger) -> None:
    _write(ledger, 5)
    verify(ledger)
    _meddle(
        ledger,
        "DROP INDEX uq_audit_place",
        "INSERT INTO audit (at, actor, action, subject, place, link)"
        " SELECT at, 'nobody', action, subject, place, link FROM audit WHERE place = 3",
    )
    assert "place 3: there is a second entry" in str(verify(ledger).broken)


def test_two_entries_that_changed_places_are_found(ledger: Ledger) -> None:
    _write(ledger, 5)
    verify(ledger)
    _meddle(
        ledger,
        "UPDATE audit SET place = -1 WHERE place = 2",
        "UPDATE audit SET place = 2 WHERE place = 3",
        "UPDATE audit SET place = 3 WHERE place = -1",
    )
    assert "place 2: the entry is not as it was written" in str(verify(ledger).broken)


def test_an_end_that_was_cut_off_is_found_by_the_head(ledger: Ledger) -> None:
    _write(ledger, 5)
    verify(ledger)
    _meddle(ledger, "DELETE FROM audit WHERE place > 3")
    assert verify(ledger).broken == "place 4: the end of the chain is cut off, which had 5 entries"

    _write(ledger, 2)
    assert link_new(ledger) == 2
    assert verify(ledger).broken == "place 4: the entry that stood there is gone"


def test_an_end_that_was_cut_off_with_the_head_is_found_by_a_head_kept_elsewhere(ledger: Ledger) -> None:
    _write(ledger, 5)
    kept = verify(ledger).head
    assert kept is not None
    _meddle(
        ledger,
        "UPDATE audit_head SET length = 3, link = (SELECT link FROM audit WHERE place = 3)",
        "DELETE FROM audit WHERE place > 3",
    )
    assert verify(ledger).broken is None
    assert verify(ledger, [kept]).broken == "place 4: the end of the chain is cut off, which had 5 entries"

    _write(ledger, 4)
    assert verify(ledger, [kept]).broken == "place 5: the link is not the one that was kept"


def test_a_head_that_was_put_back_with_the_entries_left_is_found_and_links_nothing(ledger: Ledger) -> None:
    _write(ledger, 5)
    verify(ledger)
    _meddle(ledger, "UPDATE audit_head SET length = 3, link = (SELECT link FROM audit WHERE place = 3)")
    _write(ledger, 1)

    with capture_logs() as logs:
        assert link_new(ledger) == 0

    assert [entry["event"] for entry in logs] == ["audit_not_linked"]
    assert "place 4: there are entries behind the head" in str(verify(ledger).broken)


def test_a_head_that_is_gone_is_found(ledger: Ledger) -> None:
    _write(ledger, 2)
    _meddle(ledger, "DELETE FROM audit_head")
    with capture_logs() as logs:
        assert link_new(ledger) == 0
    assert logs[0]["why"].startswith("the head is gone")
    assert verify(ledger).broken == "the head of the chain is gone"
    assert verify(ledger).not_linked == 2


def test_the_database_itself_refuses_to_change_or_remove_an_entry(ledger: Ledger) -> None:
    _write(ledger, 2)
    link_new(ledger)
    _write(ledger, 1)
    for statement in (
        "UPDATE audit SET actor = 'nobody' WHERE place = 1",
        "UPDATE audit SET actor = 'nobody' WHERE place IS NULL",
        "UPDATE audit SET place = NULL, link = NULL WHERE place = 1",
        "DELETE FROM audit WHERE place = 2",
        "DELETE FROM audit WHERE place IS NULL",
    ):
        with pytest.raises(DBAPIError, match="the audit cannot be changed"), ledger.writing() as connection:
            connection.execute(text(statement))
    assert verify(ledger).checked == 3


def test_many_writers_and_several_linkers_at_once_make_one_whole_chain(ledger: Ledger) -> None:
    def link(_: int) -> int:
        return sum(link_new(ledger) for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(_write, ledger, 40, f"worker-{number}") for number in range(5)]
        linking = list(pool.map(link, range(3)))
        for one in writing:
            one.result()

    rest = link_new(ledger)
    verdict = verify(ledger)
    assert (verdict.broken, verdict.checked) == (None, 200)
    assert sum(linking) + rest == 200


def test_an_entry_that_is_committed_late_is_linked_when_it_is_seen(ledger: Ledger) -> None:
    if ledger.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with ledger.writing() as slow:
        audit.record(slow, ledger.clock(), "slow", "closed", "case-0")
        _write(ledger, 2)
        assert link_new(ledger) == 2
    assert link_new(ledger) == 1
    with ledger.reading() as connection:
        entries = schema.audit.c
        order = connection.execute(select(entries.actor).order_by(entries.place)).scalars().all()
    assert order == ["a person", "a person", "slow"]
    assert verify(ledger).broken is None


def test_a_long_backlog_is_linked_in_several_passes_and_by_verify_at_once(ledger: Ledger) -> None:
    rows = [
        {"at": ledger.clock(), "actor": "a", "action": "taken in", "subject": str(number)}
        for number in range(ROWS * ROUNDS + 10)
    ]
    with ledger.writing() as connection:
        connection.execute(schema.audit.insert(), rows)
    assert link_new(ledger) == ROWS * ROUNDS
    verdict = verify(ledger)
    assert (verdict.broken, verdict.checked) == (None, ROWS * ROUNDS + 10)


def test_the_head_is_written_to_the_log_once_a_day(ledger: Ledger, pass_time: PassTime) -> None:
    def told() -> list[str]:
        with capture_logs() as logs:
            link_new(ledger)
            tell_head(ledger)
        return [entry["head"] for entry in logs if entry["event"] == "audit_head"]

    assert told() == []
    _write(ledger, 1)
    assert told() == [str(verify(ledger).head)]
    _write(ledger, 1)
    assert told() == []
    pass_time(days=1)
    assert told() == [str(verify(ledger).head)]


def test_a_head_is_read_as_it_was_printed(ledger: Ledger) -> None:
    _write(ledger, 1)
    head = verify(ledger).head
    assert head is not None
    assert ChainHead.parse(str(head)) == head
    for wrong in ("", "5", "x:00", "5:zz", "-1:" + "0" * 64):
        with pytest.raises(CasehandError, match="N:HASH"):
            ChainHead.parse(wrong)


def test_entries_are_found_by_who_what_and_when_latest_first(ledger: Ledger, pass_time: PassTime) -> None:
    _write(ledger, 3)
    pass_time(hours=1)
    noon = ledger.clock()
    _write(ledger, 2, "m.sample@example.test")
    pause(ledger, PauseKind.BOT, "benefits", "the system is being upgraded", "m.sample@example.test")

    def subjects(**which: object) -> list[str]:
        return [entry.subject for entry in find_entries(ledger, EntryFilter(**which))]  # type: ignore[arg-type]

    assert subjects() == ["bot benefits", "case-1", "case-0", "case-2", "case-1", "case-0"]
    assert subjects(actor="a person") == ["case-2", "case-1", "case-0"]
    assert subjects(subject="case-1") == ["case-1", "case-1"]
    assert subjects(action="paused") == ["bot benefits"]
    assert subjects(since=noon) == ["bot benefits", "case-1", "case-0"]
    assert subjects(until=noon) == ["case-2", "case-1", "case-0"]
    assert subjects(actor="nobody") == []
    assert find_entries(ledger)[0].reason == "the system is being upgraded"


def test_entries_are_paged_without_one_being_lost_or_told_twice(
    ledger: Ledger, pass_time: PassTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        _write(ledger, 3)
        pass_time(seconds=number % 2)
    whole = find_entries(ledger)

    assert len(whole) == 12
    assert [find_entries(ledger, after=one.id) for one in whole] == [whole[n + 1 :] for n in range(12)]
    first = find_entries(ledger, oldest_first=True)
    assert first == whole[::-1]
    behind = [find_entries(ledger, limit=3, after=one.id, oldest_first=True) for one in first]
    assert behind == [first[n + 1 : n + 4] for n in range(12)]
    monkeypatch.setattr(audit, "ROWS", 5)
    assert list(all_entries(ledger)) == whole
    assert list(all_entries(ledger, limit=7, after=whole[0].id)) == whole[1:8]
    with pytest.raises(CasehandError, match="there is no entry 999"):
        find_entries(ledger, after=999)
