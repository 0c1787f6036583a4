"""The outbox: each thing told once to each receiver, tried until it is sent, and gathered in a storm."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select, update

from casehand.exceptions import CasehandError
from casehand.queue import messages, schema
from casehand.queue.ledger import Ledger
from casehand.queue.messages import Message, MessageState, Wording, Writing
from casehand.queue.occasions import Occasion, What

ME, YOU = "me", "you"
BOTH = (ME, YOU)


@pytest.fixture(autouse=True)
def clock(pass_time: Callable[..., None]) -> Callable[..., None]:
    return pass_time


def things(ledger: Ledger, *numbers: int, workflow: str | None = "w") -> list[Occasion]:
    since = ledger.clock()
    return [
        Occasion(What.ESCALATION, str(number), since, f"T{number:03}", "business", workflow)
        for number in numbers
    ]


def write(ledger: Ledger, found: Sequence[Occasion], receiver: str = ME) -> int:
    writing = Writing(
        receiver,
        f"mailto:{receiver}",
        What.ESCALATION,
        lambda one: Wording(f"one {one.name}", "body"),
        lambda counted: Wording(f"many {sum(counted.values())}", repr(counted)),
    )
    return messages.write(ledger, writing, found)


def due(ledger: Ledger) -> Message:
    found = messages.next_due(ledger, BOTH)
    assert found is not None
    return found


def begin(ledger: Ledger) -> Message:
    begun = messages.begin_try(ledger, due(ledger), 0.5)
    assert begun is not None
    return begun


def subjects(ledger: Ledger) -> list[str]:
    return [one.subject for one in reversed(messages.find_messages(ledger))]


def test_a_few_things_are_told_each_by_itself_and_none_twice(ledger: Ledger) -> None:
    found = things(ledger, 1, 2, 3)

    assert write(ledger, found) == 3
    assert write(ledger, found) == 0
    assert write(ledger, found, YOU) == 3

    assert subjects(ledger) == ["one T001", "one T002", "one T003"] * 2


def test_if_one_of_several_is_told_already_nothing_half_is_written(ledger: Ledger) -> None:
    write(ledger, things(ledger, 1))

    assert write(ledger, things(ledger, 2, 1)) == 0

    assert subjects(ledger) == ["one T001"]
    assert write(ledger, things(ledger, 2)) == 1


def test_a_storm_of_a_thousand_is_one_message_that_says_how_many(ledger: Ledger) -> None:
    storm = [
        *things(ledger, *range(900), workflow="w"),
        *things(ledger, *range(900, 1000), workflow="v"),
    ]

    assert write(ledger, storm) == 1000

    (message,) = messages.find_messages(ledger)
    assert (message.subject, message.things) == ("many 1000", 1000)
    assert message.body in ("{'v': 100, 'w': 900}", "{'w': 900, 'v': 100}")
    assert write(ledger, storm) == 0


def test_a_storm_that_goes_on_is_gathered_into_the_message_until_that_is_tried(
    ledger: Ledger, clock: Callable[..., None]
) -> None:
    write(ledger, things(ledger, *range(100)))
    write(ledger, things(ledger, *range(100, 103)))
    assert subjects(ledger) == ["many 103"]
    messages.note_sent(ledger, begin(ledger))

    more = things(ledger, *range(200, 300))
    assert write(ledger, more) == 0
    clock(minutes=6)
    assert write(ledger, more) == 100
    assert subjects(ledger) == ["many 103", "many 100"]


def test_what_comes_while_a_message_is_begun_is_in_it_or_in_the_next_and_never_lost(
    ledger: Ledger, clock: Callable[..., None]
) -> None:
    write(ledger, things(ledger, *range(10)))
    seen = due(ledger)
    write(ledger, things(ledger, *range(10, 20)))

    begun = messages.begin_try(ledger, seen, 0.5)

    assert begun is not None
    assert begun.subject == "many 20"
    late = things(ledger, *range(20, 30))
    assert write(ledger, late) == 0
    messages.note_sent(ledger, begun)
    clock(minutes=6)
    assert write(ledger, late) == 10


def test_singles_are_held_back_for_some_minutes_when_many_were_written_just_now(
    ledger: Ledger, clock: Callable[..., None]
) -> None:
    for number in range(5):
        assert write(ledger, things(ledger, number)) == 1
    sixth = things(ledger, 6)

    assert write(ledger, sixth) == 0
    for _ in range(5):
        messages.note_sent(ledger, begin(ledger))
    clock(minutes=6)
    assert write(ledger, sixth) == 1


def test_a_message_whose_sender_died_is_tried_again_with_the_same_key(
    ledger: Ledger, clock: Callable[..., None]
) -> None:
    write(ledger, things(ledger, 1))
    begun = begin(ledger)
    assert messages.next_due(ledger, BOTH) is None
    (left,) = messages.find_messages(ledger)
    assert (left.state, left.tries, left.error) == (MessageState.WAITING, 1, messages.NO_WORD)

    clock(minutes=1)

    again = begin(ledger)
    assert (again.id, again.key, again.tries) == (begun.id, begun.key, 2)
    messages.note_sent(ledger, again)
    (sent,) = messages.find_messages(ledger)
    assert (sent.state, sent.error, sent.sent_at) == (MessageState.SENT, None, ledger.clock())
    assert messages.next_due(ledger, BOTH) is None


def test_a_receiver_who_cannot_be_reached_rests_longer_and_longer_and_holds_up_nobody_else(
    ledger: Ledger, clock: Callable[..., None]
) -> None:
    write(ledger, things(ledger, 1, 2), ME)
    waits = []
    for _ in range(5):
        begun = begin(ledger)
        messages.note_failed(ledger, begun, "nobody answers")
        waits.append((begun.not_before - ledger.clock()).total_seconds())
        assert messages.next_due(ledger, BOTH) is None
        clock(seconds=waits[-1])

    assert waits == [45, 135, 405, 675, 675]
    write(ledger, things(ledger, 3), YOU)
    messages.note_failed(ledger, begin(ledger), "nobody answers")
    assert due(ledger).receiver == YOU


def test_a_message_is_given_up_after_a_day_and_a_person_may_have_it_tried_again(
    ledger: Ledger, clock: Callable[..., None]
) -> None:
    write(ledger, things(ledger, 1))
    assert messages.note_failed(ledger, begin(ledger), "nobody answers") is MessageState.WAITING
    clock(days=1)
    assert messages.note_failed(ledger, begin(ledger), "still nobody") is MessageState.GIVEN_UP
    (message,) = messages.find_messages(ledger, MessageState.GIVEN_UP)
    assert (message.tries, message.error) == (2, "still nobody")
    assert messages.next_due(ledger, BOTH) is None
    assert messages.count_unsent(ledger) == 1

    messages.retry(ledger, message.id, "a person")

    messages.note_sent(ledger, begin(ledger))
    assert messages.count_unsent(ledger) == 0
    with pytest.raises(CasehandError, match=f"message {message.id} was sent"):
        messages.retry(ledger, message.id, "a person")


def test_having_one_tried_again_has_all_to_that_receiver_tried_again(ledger: Ledger) -> None:
    write(ledger, things(ledger, 1, 2))
    messages.note_failed(ledger, begin(ledger), "nobody answers")
    (second, first) = messages.find_messages(ledger)

    messages.retry(ledger, second.id, "a person")

    assert {due(ledger).id} <= {first.id, second.id}


def test_a_message_that_is_not_there_is_not_tried_again(ledger: Ledger) -> None:
    with pytest.raises(CasehandError, match="there is no message 404"):
        messages.retry(ledger, 404, "a person")


def test_what_waits_for_somebody_who_is_in_the_settings_no_more_is_given_up_with_that_reason(
    ledger: Ledger, clock: Callable[..., None]
) -> None:
    write(ledger, things(ledger, 1), "gone")
    assert messages.next_due(ledger, BOTH) is None
    messages.give_up_lost(ledger, BOTH)
    clock(days=1)
    messages.give_up_lost(ledger, BOTH)

    (message,) = messages.find_messages(ledger)
    assert (message.state, message.error) == (MessageState.GIVEN_UP, messages.NO_RECEIVER)


def test_of_eight_that_would_send_one_message_one_does(ledger: Ledger) -> None:
    for number in range(5):
        write(ledger, things(ledger, number))
        message = due(ledger)
        together = Barrier(8)

        def begin_together(_: int, message: Message = message, together: Barrier = together) -> bool:
            together.wait()
            return messages.begin_try(ledger, message, 0.5) is not None

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(begin_together, range(8))).count(True) == 1
        messages.note_sent(ledger, message)


def test_of_eight_that_would_write_of_one_storm_one_does(ledger: Ledger) -> None:
    for found in (things(ledger, *range(3)), things(ledger, *range(10, 60))):
        together = Barrier(8)

        def write_together(_: int, found: list[Occasion] = found, together: Barrier = together) -> int:
            together.wait()
            return write(ledger, found, ME if len(found) == 3 else YOU)

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(write_together, range(8))) == [0] * 7 + [len(found)]

    with ledger.reading() as connection:
        assert connection.execute(select(func.count()).select_from(schema.told)).scalar_one() == 53
    assert len(messages.find_messages(ledger)) == 4


def test_messages_are_listed_from_either_end_in_parts(ledger: Ledger, clock: Callable[..., None]) -> None:
    for number in range(4):
        write(ledger, things(ledger, number))
        clock(seconds=1)
    listed = messages.find_messages(ledger)

    assert [one.subject for one in listed] == ["one T003", "one T002", "one T001", "one T000"]
    assert messages.find_messages(ledger, limit=2) == listed[:2]
    assert messages.find_messages(ledger, after=listed[1].id) == listed[2:]
    first = messages.find_messages(ledger, oldest_first=True)
    assert first == listed[::-1]
    assert messages.find_messages(ledger, limit=2, after=first[0].id, oldest_first=True) == first[1:3]
    assert messages.find_messages(ledger, MessageState.SENT) == []
    assert listed[0].written_at - listed[3].written_at == timedelta(seconds=3)


@pytest.mark.parametrize("oldest_first", [False, True])
def test_what_could_not_be_sent_is_listed_in_the_same_order(ledger: Ledger, oldest_first: bool) -> None:
    for number in range(5):
        write(ledger, things(ledger, number))
    every = [one.id for one in messages.find_messages(ledger, oldest_first=oldest_first)]
    _became(ledger, every[0], MessageState.GIVEN_UP, tries=9)
    _became(ledger, every[1], MessageState.WAITING, tries=1)
    _became(ledger, every[2], MessageState.SENT, tries=1)
    _became(ledger, every[3], MessageState.GIVEN_UP, tries=9)

    def unsent(**more: int) -> list[int]:
        found = messages.find_messages(ledger, is_unsent=True, oldest_first=oldest_first, **more)
        return [one.id for one in found]

    assert unsent() == [every[0], every[1], every[3]]
    assert unsent(limit=2) == every[:2]
    assert unsent(after=every[0]) == [every[1], every[3]]


def _became(ledger: Ledger, message: int, state: MessageState, tries: int) -> None:
    with ledger.writing() as connection:
        connection.execute(
            update(schema.messages).where(schema.messages.c.id == message).values(state=state, tries=tries)
        )
