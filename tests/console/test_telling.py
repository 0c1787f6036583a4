"""Telling people, through a real mail server and a real web hook, on both kinds of ledger."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from letterbox import Hook, MailServer, a_hook, a_mail_server
from pydantic import SecretStr
from sqlalchemy import delete, func, insert, select, update

from casehand.console.links import Links
from casehand.console.receivers import subscriptions
from casehand.console.sending import Sender
from casehand.console.telling import Teller, at_london_time
from casehand.queue import attempts, endings, escalations, messages, pauses, schema
from casehand.queue.backoff import Backoff
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.messages import MessageState
from casehand.queue.occasions import What
from casehand.queue.outcome import Escalated, EscalationKind
from casehand.queue.pauses import PauseKind
from casehand.queue.state import State
from casehand.queue.vault import Vault
from casehand.tell import SmtpSettings, TellSettings

CASEHAND = Path(sys.executable).with_name("casehand")
WORKFLOW = "housing-benefit/rent-change"
TEAM = "team@council.example"
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
PERSONAL = ("Ms Test Alder", "112.40", "AB123456C")
"""What a case holds, and its reason: none of it may ever be told."""


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with a_mail_server() as server:
        yield server


@pytest.fixture
def hook() -> Iterator[Hook]:
    with a_hook() as one:
        yield one


@pytest.fixture
def clock(ledger: Ledger) -> Callable[..., None]:
    now = START

    def move_on(**span: float) -> None:
        nonlocal now
        now += timedelta(**span)

    ledger.clock = lambda: now
    return move_on


@pytest.fixture
def escalate(ledger: Ledger) -> Callable[..., str]:
    """Makes a case that waits for a person; its data and its reason are personal."""
    make_known(ledger, WORKFLOW, ["benefits"], timedelta(minutes=5))

    def put(reference: str, kind: EscalationKind = EscalationKind.QUESTION, **columns: Any) -> str:
        case = _take_in(ledger, reference, columns)
        begun = attempts.begin(ledger, case, 1, "worker-1")
        assert begun is not None
        reason = f"pay {PERSONAL[1]} to {PERSONAL[0]}?"
        outcome = Escalated(kind, reason, json.dumps({"key": "k", "question": reason}))
        endings.end(ledger, begun, outcome, "[]", Backoff(), 0.0)
        return case

    return put


@pytest.fixture
def to_mail(ledger: Ledger, mail: MailServer) -> Teller:
    """Tells the team of everything by mail."""
    return teller(ledger, mail, [f"mailto:{TEAM}"])


def teller(
    ledger: Ledger,
    mail: MailServer,
    to: list[str],
    name: str = "me",
    seconds: int = 5,
    what: tuple[What, ...] = tuple(one for one in What if one is not What.HOURLY),
) -> Teller:
    told = [TellSettings(what=what, to=tuple(map(SecretStr, to)))]
    smtp = SmtpSettings(
        host="127.0.0.1", port=mail.port, encryption="none", sender="casehand@council.example"
    )
    return Teller(
        ledger,
        subscriptions(told, ledger.vault),
        Sender(smtp, seconds),
        Links("https://casehand.council.example/"),
        time(8),
        name,
        lambda: 0.5,
    )


def without_summary(one: Teller) -> Teller:
    """The same, but that it sends no daily summary."""
    one.told = [told for told in one.told if told.what is not What.SUMMARY]
    return one


@pytest.mark.usefixtures("clock")
def test_an_escalation_is_told_once_by_mail_with_its_reference_and_a_link_and_nothing_personal(
    ledger: Ledger, mail: MailServer, to_mail: Teller, escalate: Callable[..., str]
) -> None:
    escalate("HB000105", priority=1, due=START - timedelta(days=1))

    for _ in range(3):
        without_summary(to_mail).turn()

    high, late = mail.to(TEAM)
    assert high["Subject"] == "Casehand: HB000105 waits for a person"
    text = high.get_content()
    assert "https://casehand.council.example/cases/HB000105" in text
    assert "high priority" in text
    assert "it asks a question" in text
    assert WORKFLOW in text
    assert late["Subject"] == "Casehand: HB000105 is past its due date"
    assert "9:00am on 1 November 2026" in late.get_content()
    assert high["Auto-Submitted"] == "auto-generated"
    assert high["Message-ID"] != late["Message-ID"]
    _assert_nothing_personal(ledger, mail.letters)


def test_what_was_sent_long_ago_is_cleared_but_not_what_would_be_told_again(
    ledger: Ledger,
    mail: MailServer,
    to_mail: Teller,
    escalate: Callable[..., str],
    clock: Callable[..., None],
) -> None:
    settled, waits = escalate("HB000105", priority=1), escalate("HB000106", priority=1, due=START)
    pauses.pause(ledger, PauseKind.BOT, "benefits", "moved", "s.sample")
    clock(minutes=1)
    one = without_summary(to_mail)
    one.turn()
    escalations.close(ledger, settled, "s.sample", "by hand")
    told = [letter["Subject"] for letter in mail.to(TEAM)]
    assert len(told) == 4

    clock(days=89)
    one.turn()
    assert len(messages.find_messages(ledger)) == 4
    clock(days=2)
    one.turn()

    kept = [message.subject for message in messages.find_messages(ledger)]
    assert not [subject for subject in kept if "HB000105" in subject]
    assert len([subject for subject in kept if "HB000106" in subject]) == 2
    assert len(kept) == 3
    with ledger.reading() as connection:
        assert connection.execute(select(func.count()).select_from(schema.told)).scalar_one() == 3
    assert [letter["Subject"] for letter in mail.to(TEAM)] == told

    escalations.close(ledger, waits, "s.sample", "by hand")
    pauses.resume(ledger, PauseKind.BOT, "benefits", "s.sample")
    clock(hours=2)
    one.turn()
    assert messages.find_messages(ledger) == []


def test_what_could_not_be_sent_is_never_cleared_by_itself(
    ledger: Ledger,
    mail: MailServer,
    to_mail: Teller,
    escalate: Callable[..., str],
    clock: Callable[..., None],
) -> None:
    case = escalate("HB000105", priority=1)
    without_summary(to_mail).write()
    escalations.close(ledger, case, "s.sample", "by hand")
    clock(days=200)
    assert messages.clear(ledger) == 0
    assert len(messages.find_messages(ledger)) == 1


@pytest.mark.usefixtures("clock")
def test_a_web_hook_is_told_the_same_with_apprise(
    ledger: Ledger, mail: MailServer, hook: Hook, escalate: Callable[..., str]
) -> None:
    escalate("HB000105", priority=1)

    without_summary(teller(ledger, mail, [hook.url])).turn()

    (post,) = hook.posts
    assert post["title"] == "Casehand: HB000105 waits for a person"
    assert "https://casehand.council.example/cases/HB000105" in post["message"]
    (message,) = messages.find_messages(ledger)
    assert f"(message {message.key[:8]})" in post["message"]
    assert message.state is MessageState.SENT
    _assert_nothing_personal(ledger, hook.posts)


@pytest.mark.usefixtures("clock")
def test_the_addresses_secrets_are_neither_in_the_ledger_nor_in_an_error_nor_shown(
    ledger: Ledger,
    mail: MailServer,
    hook: Hook,
    escalate: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    escalate("HB000105", priority=1)
    hook.status = 500

    without_summary(teller(ledger, mail, [hook.url])).turn()

    (message,) = messages.find_messages(ledger)
    assert message.state is MessageState.WAITING
    assert message.error
    assert message.shown.startswith("json://… (")
    whole = f"{message}{caplog.text}"
    assert "hook-secret" not in whole
    assert "hook-token" not in whole


@pytest.mark.usefixtures("clock")
def test_paused_and_failing_bots_and_finished_batches_are_told(
    ledger: Ledger, mail: MailServer, to_mail: Teller, escalate: Callable[..., str]
) -> None:
    pauses.pause(ledger, PauseKind.BOT, "benefits", f"{PERSONAL[0]} says so", "a person")
    _make_batch(ledger, "rents-2026-11-02", done=40)

    without_summary(to_mail).turn()

    told = {letter["Subject"]: letter.get_content() for letter in mail.to(TEAM)}
    assert "Its cases wait until somebody resumes it." in told["Casehand: the bot benefits is paused"]
    finished = told["Casehand: the batch rents-2026-11-02 is finished"]
    assert "3 not taken in" in finished
    assert "/batches/rents-2026-11-02" in finished
    _assert_nothing_personal(ledger, mail.letters)


@pytest.mark.usefixtures("clock")
def test_a_storm_of_a_thousand_escalations_is_one_letter_that_says_how_many(
    ledger: Ledger, mail: MailServer, to_mail: Teller, escalate: Callable[..., str]
) -> None:
    _escalate_many(ledger, 1000)

    for _ in range(3):
        without_summary(to_mail).turn()

    (letter,) = mail.to(TEAM)
    assert letter["Subject"] == "Casehand: 1,000 cases of high priority wait for a person"
    assert f"{WORKFLOW}: 1,000" in letter.get_content()
    assert "https://casehand.council.example/escalations" in letter.get_content()


@pytest.mark.usefixtures("clock")
def test_a_storm_larger_than_one_transaction_is_one_letter_all_the_same(
    ledger: Ledger, mail: MailServer, to_mail: Teller, escalate: Callable[..., str]
) -> None:
    _escalate_many(ledger, 2345)

    without_summary(to_mail).turn()

    (letter,) = mail.to(TEAM)
    assert letter["Subject"] == "Casehand: 2,345 cases of high priority wait for a person"


def test_an_outage_is_waited_out_and_everything_told_once_after_it(
    ledger: Ledger,
    mail: MailServer,
    to_mail: Teller,
    escalate: Callable[..., str],
    clock: Callable[..., None],
) -> None:
    one = without_summary(to_mail)
    mail.stop()
    for number in range(3):
        escalate(f"HB00010{number}", priority=1)
        one.turn()
        clock(minutes=3)
    (waiting, *_) = [message for message in messages.find_messages(ledger) if message.tries]
    assert waiting.error is not None
    assert waiting.error.startswith(f"the mail server 127.0.0.1:{mail.port} cannot be used (")
    assert messages.count_unsent(ledger) > 0

    mail.start()
    for _ in range(10):
        clock(minutes=16)
        one.turn()

    subjects = sorted(letter["Subject"] for letter in mail.to(TEAM))
    assert subjects == [f"Casehand: HB00010{number} waits for a person" for number in range(3)]
    assert messages.count_unsent(ledger) == 0


def test_a_refused_receiver_is_shown_with_the_servers_words_and_keeps_no_other_from_being_told(
    ledger: Ledger, mail: MailServer, escalate: Callable[..., str], clock: Callable[..., None]
) -> None:
    mail.refuses.add("left@council.example")
    one = without_summary(teller(ledger, mail, ["mailto:left@council.example", f"mailto:{TEAM}"]))
    escalate("HB000105", priority=1)

    one.turn()

    assert len(mail.to(TEAM)) == 1
    (refused,) = messages.find_messages(ledger, MessageState.WAITING)
    assert refused.error == "the mail server refused the receiver (550 5.1.1 no such mailbox here)"
    for _ in range(120):
        clock(minutes=16)
        one.turn()
    (given_up,) = messages.find_messages(ledger, MessageState.GIVEN_UP)
    assert (given_up.id, given_up.error) == (refused.id, refused.error)
    assert len(mail.to(TEAM)) == 1


@pytest.mark.usefixtures("clock")
def test_a_receiver_that_takes_for_ever_is_left_in_time_and_the_next_is_told(
    ledger: Ledger, mail: MailServer, hook: Hook, escalate: Callable[..., str]
) -> None:
    hook.delays.set()
    escalate("HB000105", priority=1)
    one = without_summary(teller(ledger, mail, [hook.url, f"mailto:{TEAM}"], seconds=1))
    began = monotonic()

    one.turn()

    assert monotonic() - began < 10
    assert len(mail.to(TEAM)) == 1
    (slow,) = messages.find_messages(ledger, MessageState.WAITING)
    assert slow.shown.startswith("json://")
    assert slow.error
    assert len(hook.posts) == 1


@pytest.mark.usefixtures("clock")
def test_a_mail_server_that_is_silent_is_left_in_time(
    ledger: Ledger, mail: MailServer, escalate: Callable[..., str]
) -> None:
    mail.delays.set()
    escalate("HB000105", priority=1)
    one = without_summary(teller(ledger, mail, [f"mailto:{TEAM}"], seconds=1))
    began = monotonic()

    one.turn()

    assert monotonic() - began < 10
    (slow,) = messages.find_messages(ledger, MessageState.WAITING)
    assert slow.error == "no answer within 1 second"


@pytest.mark.usefixtures("clock")
def test_the_mail_server_is_signed_in_to_with_the_password_and_a_wrong_one_is_said_without_it(
    ledger: Ledger, mail: MailServer, escalate: Callable[..., str], tmp_path: Path
) -> None:
    escalate("HB000105", priority=1)
    one = without_summary(teller(ledger, mail, [f"mailto:{TEAM}"]))
    account = {"host": "127.0.0.1", "port": mail.port, "encryption": "none", "sender": "casehand@c.example"}
    (tmp_path / "password").write_text("wrong horse\n")
    file = {"username": "casehand", "password_file": tmp_path / "password"}
    one.send = Sender(SmtpSettings.model_validate(account | file))
    one.turn()
    (message,) = messages.find_messages(ledger)
    assert message.error is not None
    assert "535" in message.error
    assert "wrong horse" not in message.error

    (tmp_path / "password").write_text("correct horse\n")
    messages.retry(ledger, message.id, "a person")
    one.turn()

    assert set(mail.signed_in[:-1]) == {("casehand", "wrong horse")}
    assert mail.signed_in[-1] == ("casehand", "correct horse")
    assert len(mail.to(TEAM)) == 1


@pytest.mark.usefixtures("clock")
def test_hostile_references_and_names_break_no_letter_and_no_post(
    ledger: Ledger, mail: MailServer, hook: Hook, escalate: Callable[..., str]
) -> None:
    reference = "x\r\nBcc: all@council.example\r\n\r\n<script>alert(1)</script>\u202e/../" + "y" * 100
    escalate(reference, priority=1)

    without_summary(teller(ledger, mail, [f"mailto:{TEAM}", hook.url])).turn()

    (letter,) = mail.letters
    assert letter["Bcc"] is None
    assert "\n" not in letter["Subject"]
    assert "\u202e" not in letter["Subject"]
    assert len(letter["Subject"]) < 200
    assert "/cases/x%0D%0ABcc%3A" in letter.get_content()
    assert len(hook.posts) == 1


def test_of_two_tellers_one_tells_and_the_other_goes_on_when_it_is_gone(
    ledger: Ledger, mail: MailServer, escalate: Callable[..., str], clock: Callable[..., None]
) -> None:
    one, other = (
        without_summary(teller(ledger, mail, [f"mailto:{TEAM}"], name)) for name in ("one", "other")
    )
    escalate("HB000105", priority=1)
    assert one.turn() is not None
    assert other.turn() is None

    clock(minutes=2)
    escalate("HB000106", priority=1)
    assert other.turn() is not None

    assert [letter["Subject"].split()[1] for letter in mail.to(TEAM)] == ["HB000105", "HB000106"]


def test_the_summary_comes_once_a_day_at_its_time_whatever_the_clocks_do(
    ledger: Ledger, mail: MailServer, clock: Callable[..., None], escalate: Callable[..., str]
) -> None:
    # Across the end of summer time on 25 October 2026 and its beginning on 28 March 2027, restarted each time.
    for first, days in (
        (datetime(2026, 10, 23, 22, tzinfo=UTC), 4),
        (datetime(2027, 3, 26, 22, tzinfo=UTC), 4),
    ):
        mail.letters.clear()
        now = first
        ledger.clock = lambda: now  # noqa: B023
        sent: list[tuple[datetime, str]] = []
        while now < first + timedelta(days=days):
            one = teller(ledger, mail, [f"mailto:{TEAM}"], str(now))
            one.summary_at = time(1, 30)
            before = len(mail.letters)
            one.turn()
            one.let_go()
            sent += [(now, letter["Subject"]) for letter in mail.letters[before:]]
            now += timedelta(minutes=30)

        days_told = [subject.split(": ")[0] for _, subject in sent]
        assert len(set(days_told)) == len(days_told)
        # The day before is told late, at once; then each day at half past one, as clocks there show it first.
        assert len(sent) == days + 1
        assert all(at >= at_london_time(at, time(1, 30)) for at, _ in sent)
        late = [at - at_london_time(at, time(1, 30)) for at, _ in sent[1:]]
        assert late == [timedelta()] * days


@pytest.mark.usefixtures("clock")
def test_the_summary_says_how_things_stand(
    ledger: Ledger, mail: MailServer, to_mail: Teller, escalate: Callable[..., str]
) -> None:
    escalate("HB000105", priority=1, due=START - timedelta(days=1))
    escalate("HB000106")
    pauses.pause(ledger, PauseKind.BOT, "benefits", "upgrade", "a person")

    to_mail.turn()

    (summary,) = [one for one in mail.to(TEAM) if one["Subject"].startswith("Casehand on ")]
    assert summary["Subject"] == "Casehand on Monday 2 November 2026: 2 cases for a person"
    text = summary.get_content()
    assert "Waiting for a person: 2 (1 of high priority, 1 past the due date, the oldest since 9:00am" in text
    assert "Bots paused or held up: benefits" in text
    _assert_nothing_personal(ledger, mail.letters)


def test_the_hourly_summary_comes_once_after_each_hour_in_which_anything_happened(
    ledger: Ledger, mail: MailServer, clock: Callable[..., None], escalate: Callable[..., str]
) -> None:
    one = teller(ledger, mail, [f"mailto:{TEAM}"], what=(What.HOURLY,))
    one.turn()
    assert mail.letters == []
    clock(minutes=50)
    escalate("HB000105", priority=1)
    for _ in range(18):
        one.turn()
        clock(minutes=10)

    subjects = [letter["Subject"] for letter in mail.to(TEAM)]
    assert subjects == ["Casehand at 10:00am on 2 November 2026: 1 case for a person"]
    text = mail.to(TEAM)[0].get_content()
    assert "Done by the robot in the last hour: 0" in text
    assert "Put before a person in that time: 1" in text
    _assert_nothing_personal(ledger, mail.letters)


def test_a_teller_killed_between_sending_and_writing_it_down_tells_again_with_the_same_id_and_never_less(
    ledger: Ledger,
    ledger_url: str,
    mail: MailServer,
    escalate: Callable[..., str],
    tmp_path: Path,
    vault: Vault,
) -> None:
    escalate("HB000105", priority=1)
    environment = _installation(tmp_path, ledger_url, vault, mail)
    process = subprocess.Popen([CASEHAND, "tell", "run"], env=environment, cwd=tmp_path)
    mail.on_taken = lambda: os.kill(process.pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    (left,) = messages.find_messages(ledger)
    assert (left.state, left.tries, left.error) == (MessageState.WAITING, 1, messages.NO_WORD)

    mail.on_taken = lambda: None
    _let_its_time_come(ledger)
    run = subprocess.run([CASEHAND, "tell", "run", "--once"], env=environment, cwd=tmp_path, check=False)

    assert run.returncode == 0
    first, second = mail.to(TEAM)
    assert first["Message-ID"] == second["Message-ID"]
    assert [one.state for one in messages.find_messages(ledger)] == [MessageState.SENT]


def test_two_tellers_at_once_tell_each_thing_once(
    ledger: Ledger,
    ledger_url: str,
    mail: MailServer,
    escalate: Callable[..., str],
    tmp_path: Path,
    vault: Vault,
    until: Callable[..., None],
) -> None:
    for number in range(4):
        escalate(f"HB00010{number}", priority=1, due=datetime(2026, 1, 1, tzinfo=UTC))
    environment = _installation(tmp_path, ledger_url, vault, mail)
    run = [CASEHAND, "tell", "run"]
    both = [subprocess.Popen(run, env=environment, cwd=tmp_path) for _ in range(2)]
    until(lambda: len(mail.letters) >= 8, what="the eighth letter")
    for process in both:
        process.terminate()
    assert [process.wait(60) for process in both] == [0, 0]

    subjects = [letter["Subject"] for letter in mail.to(TEAM)]
    assert len(subjects) == len(set(subjects)) == 8


def test_a_teller_asked_to_stop_tells_what_is_new_before_it_ends(
    ledger: Ledger,
    ledger_url: str,
    mail: MailServer,
    escalate: Callable[..., str],
    tmp_path: Path,
    vault: Vault,
    until: Callable[..., None],
) -> None:
    escalate("HB000105", priority=1)
    environment = _installation(tmp_path, ledger_url, vault, mail)
    process = subprocess.Popen([CASEHAND, "tell", "run"], env=environment, cwd=tmp_path)
    until(lambda: mail.letters, what="the first letter")

    escalate("HB000106", priority=1)
    process.terminate()

    assert process.wait(60) == 0
    assert [letter["Subject"].split()[1] for letter in mail.to(TEAM)] == ["HB000105", "HB000106"]


def test_nothing_that_does_not_send_imports_apprise() -> None:
    program = """
import sys
from importlib import import_module
from casehand.console.cli import COMMANDS
import casehand.worker
for module in COMMANDS:
    import_module(f"casehand.console.{module}")
loaded = [name for name in ("apprise", "requests") if name in sys.modules]
print(loaded)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def _assert_nothing_personal(ledger: Ledger, told: list[Any]) -> None:
    assert told
    with ledger.reading() as connection:
        kept = str(connection.execute(select(schema.messages)).all())
        kept += str(connection.execute(select(schema.told)).all())
    letters = [one if isinstance(one, dict) else one.as_string() + one.get_content() for one in told]
    for personal in PERSONAL:
        assert personal not in kept
        assert personal not in str(letters)


def _take_in(ledger: Ledger, reference: str, columns: dict[str, Any]) -> str:
    case, now = ledger.new_id(), ledger.clock()
    with ledger.writing() as connection:
        connection.execute(insert(schema.cases).values(_case(ledger, case, reference, now) | columns))
    return case


def _case(ledger: Ledger, case: str, reference: str, now: datetime) -> dict[str, Any]:
    key, wrapped = ledger.vault.new_key(case)
    return {
        "id": case,
        "reference": reference,
        "workflow": WORKFLOW,
        "state": State.QUEUED,
        "priority": 0,
        "may_be_late": True,
        "not_before": now,
        "attempts": 0,
        "failures": 0,
        "crashes": 0,
        "key": wrapped,
        "sealed_data": key.seal_text(json.dumps({"name": PERSONAL[0], "number": PERSONAL[2]})),
        "handed_in_at": now,
        "changed_at": now,
    }


def _escalate_many(ledger: Ledger, number: int) -> None:
    now = ledger.clock()
    rows = [_case(ledger, ledger.new_id(), f"HB{n:06}", now) for n in range(number)]
    escalated = {"state": State.ESCALATED, "priority": 1, "attempts": 1}
    opened = {"attempt": 1, "kind": "failure", "opened_at": now, "sealed_reason": b""}
    with ledger.writing() as connection:
        connection.execute(insert(schema.cases), [row | escalated for row in rows])
        connection.execute(insert(schema.escalations), [opened | {"case": row["id"]} for row in rows])


def _make_batch(ledger: Ledger, name: str, **columns: Any) -> None:
    now = ledger.clock()
    counts = {"accepted": 40, "rejected": 3, "duplicates": 0, "closed": 0, "cancelled": 0}
    said = {"file": f"{name}.csv", "handed_in_at": now, "handed_in_by": "a person", "finished_at": now}
    key = ledger.vault.new_key(name)[1]
    row = {"id": name, "workflow": WORKFLOW, "key": key} | counts | said
    with ledger.writing() as connection:
        connection.execute(insert(schema.batches).values(row | columns))


def _installation(folder: Path, ledger_url: str, vault: Vault, mail: MailServer) -> dict[str, str]:
    (folder / "casehand.toml").write_text(
        f"""
[smtp]
host = "127.0.0.1"
port = {mail.port}
encryption = "none"
sender = "casehand@council.example"

[[tell]]
what = ["escalation", "overdue"]
to = ["mailto:{TEAM}"]
"""
    )
    key = base64.urlsafe_b64encode(vault._master).decode()
    return {**os.environ, "CASEHAND_DATABASE_URL": ledger_url, "CASEHAND_KEY": key}


def _let_its_time_come(ledger: Ledger) -> None:
    """The dead teller's lease runs out, and the message may be tried again."""
    with ledger.writing() as connection:
        connection.execute(delete(schema.leases))
        connection.execute(update(schema.messages).values(not_before=ledger.clock() - timedelta(seconds=1)))
