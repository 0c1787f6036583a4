"""Sessions and what they begin with, on both kinds of ledger."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from casehand.queue import schema, sessions
from casehand.queue.ledger import Ledger
from casehand.queue.sessions import Limits, Who

PassTime = Callable[..., None]
SAM = Who("s.sample@example.test", "Sam Sample", '{"*": ["supervisor"]}')
LIMITS = Limits(timedelta(minutes=30), timedelta(hours=12))


def test_a_link_begins_one_session_however_many_use_it_at_once(ledger: Ledger, pass_time: PassTime) -> None:
    token = sessions.offer_link(ledger, SAM)
    assert sessions.look_at_link(ledger, token) == SAM
    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda _: sessions.begin_by_link(ledger, token), range(8)))
    (session,) = [one for one in begun if one is not None]
    found = sessions.find(ledger, session, LIMITS)
    assert found is not None
    assert found.who == SAM
    assert sessions.look_at_link(ledger, token) is None


def test_a_link_that_is_too_old_begins_nothing(ledger: Ledger, pass_time: PassTime) -> None:
    token = sessions.offer_link(ledger, SAM)
    pass_time(minutes=10)
    assert sessions.look_at_link(ledger, token) is None
    assert sessions.begin_by_link(ledger, token) is None


def test_a_state_is_accepted_once_and_from_its_own_browser(ledger: Ledger, pass_time: PassTime) -> None:
    state = sessions.expect_sign_in(ledger, "a browser", "/figures")
    assert sessions.accept_sign_in(ledger, state, "a browser") == "/figures"
    assert sessions.accept_sign_in(ledger, state, "a browser") is None
    other = sessions.expect_sign_in(ledger, "a browser", "/")
    assert sessions.accept_sign_in(ledger, other, "another") is None
    late = sessions.expect_sign_in(ledger, "a browser", "/")
    pass_time(minutes=10)
    assert sessions.accept_sign_in(ledger, late, "a browser") is None


@pytest.mark.parametrize(("every", "lasts"), [(29, 12 * 60), (31, 30)])
def test_a_session_lasts_while_it_is_used_but_no_longer_than_its_limit(
    ledger: Ledger, pass_time: PassTime, every: int, lasts: int
) -> None:
    token = sessions.begin(ledger, SAM, "link")
    gone = 0
    while sessions.find(ledger, token, LIMITS) is not None:
        pass_time(minutes=every)
        gone += every
    assert lasts <= gone < lasts + every


def test_looking_without_use_does_not_make_it_last(ledger: Ledger, pass_time: PassTime) -> None:
    token = sessions.begin(ledger, SAM, "link")
    for _ in range(3):
        pass_time(minutes=9)
        assert sessions.find(ledger, token, LIMITS, is_used=False) is not None
    pass_time(minutes=9)
    assert sessions.find(ledger, token, LIMITS, is_used=False) is None


def test_use_is_written_down_once_a_minute_at_most(ledger: Ledger, pass_time: PassTime) -> None:
    token = sessions.begin(ledger, SAM, "link")
    seen = schema.sessions.c.seen_at
    with ledger.reading() as connection:
        before = connection.execute(select(seen)).scalar_one()
    pass_time(seconds=59)
    sessions.find(ledger, token, LIMITS)
    with ledger.reading() as connection:
        assert connection.execute(select(seen)).scalar_one() == before


def test_an_ended_session_is_gone_and_the_audit_says_who_ended_it(
    ledger: Ledger, pass_time: PassTime
) -> None:
    token = sessions.begin(ledger, SAM, "openid connect")
    (session,) = sessions.open_sessions(ledger, LIMITS)
    assert sessions.end(ledger, session.id, "an.administrator")
    assert not sessions.end(ledger, session.id, "an.administrator")
    assert sessions.find(ledger, token, LIMITS) is None
    entries = schema.audit.c
    with ledger.reading() as connection:
        told = connection.execute(
            select(entries.actor, entries.action, entries.subject).order_by(entries.id)
        ).all()
    assert [tuple(row) for row in told] == [
        (SAM.person, "signed in", f"person {SAM.person}"),
        ("an.administrator", "signed out", f"person {SAM.person}"),
    ]


def test_all_of_a_persons_sessions_end_but_the_one_that_is_kept(ledger: Ledger, pass_time: PassTime) -> None:
    kept, gone = sessions.begin(ledger, SAM, "link"), sessions.begin(ledger, SAM, "link")
    others = sessions.begin(ledger, Who("v.sample@example.test", "Vic", "{}"), "link")
    here = sessions.find(ledger, kept, LIMITS)
    assert here is not None
    assert sessions.end_all(ledger, SAM.person, SAM.person, but=here.id) == 1
    found = [sessions.find(ledger, token, LIMITS) is not None for token in (kept, gone, others)]
    assert found == [True, False, True]


def test_what_is_long_past_is_forgotten(ledger: Ledger, pass_time: PassTime) -> None:
    sessions.begin(ledger, SAM, "link")
    sessions.offer_link(ledger, SAM)
    pass_time(days=31)
    sessions.offer_link(ledger, SAM)
    with ledger.reading() as connection:
        assert connection.execute(select(schema.sessions)).all() == []
        assert len(connection.execute(select(schema.sign_in_links)).all()) == 1
