"""A stage: a console over the sample, people of every role signed in, and every act of theirs judged by the ledger.

What may be done by whom stands here once more, in the words of the audit, so that a hole in the console's own
tables is found.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from samples import PERMIT, RENT, WORKFLOWS, Made
from snapshot import Snapshot
from sqlalchemy import select
from timetable import NIGHTLY, PLANNED, SLOT, go_wrong
from wire import Answer, Sent, Wire

from casehand.console.desk import Desk
from casehand.console.person import Person
from casehand.console.rights import EVERY, Role
from casehand.console.web.door import as_who, cookie_name
from casehand.console.web.guard import HEADERS
from casehand.queue import leases, schema, sessions
from casehand.queue.bulk import BulkAction
from casehand.queue.bulk_filter import BulkFilter
from casehand.queue.bulk_turn import LEASE

SETTLERS = frozenset({Role.CASEWORKER, Role.SUPERVISOR, Role.ADMINISTRATOR})
SUPERVISORS = frozenset({Role.SUPERVISOR, Role.ADMINISTRATOR})
MAY: Mapping[str, frozenset[Role]] = {
    **dict.fromkeys(("taken", "handed on", "given back", "commented"), SETTLERS),
    **dict.fromkeys(("answered", "returned", "amended", "closed", "cancelled"), SETTLERS),
    **dict.fromkeys(("commit made", "commit not made", "commit found"), SETTLERS),
    **dict.fromkeys(
        ("due date set", "priority set", "handed in", "taken in", "paused", "resumed"), SUPERVISORS
    ),
    **dict.fromkeys(("breaker to be tried", "message to be sent", "audit verified"), SUPERVISORS),
    **dict.fromkeys(("bulk begun", "bulk listed", "bulk paused", "bulk resumed"), SUPERVISORS),
    **dict.fromkeys(("failed runs seen", "run again"), SUPERVISORS),
    **dict.fromkeys(("bulk cancelled", "took out results", "took out rejects"), SUPERVISORS),
}
"""Who may do what, by what the audit calls it. What is not here, nobody does by a page."""
COUNTED = frozenset({"figures", "figures_times", "figures_asked", "figures_reasons", "figures_head"})
"""What is counted up when somebody looks at the figures."""
LEARNT = frozenset({"workflows", "workflow_bots"})
"""What the ledger learns of a workflow that is installed, as soon as somebody hands in for it."""

SECRETS = (
    *(
        "Mx Test",
        "TE57 AAA",
        "112.40",
        "98.10",
        "the claim is closed",
        "rises by 14%",
        "Which zone, and what fee",
    ),
    *("KeyError", "handed in twice", "onerror", "Aa1Aa1", "four times in a row", "a remark of the sample"),
)
"""What cases hold, and what was said of them: no developer is shown any of it."""
ELSEWHERE = ("HB0001", "rent-changes", NIGHTLY)
"""What there is of the rent changes: nothing of it is shown to whoever has no role for them."""


@dataclass(frozen=True)
class Actor:
    """Somebody who sends requests, or nobody."""

    name: str
    person: Person | None = None
    cookies: tuple[str, ...] = ()

    def has(self, roles: frozenset[Role], workflow: str | None) -> bool:
        """Whether he has one of these roles for a workflow, or for all when that is None."""
        if self.person is None:
            return False
        theirs = self.person.roles.get(EVERY, frozenset())
        if workflow is not None:
            theirs |= self.person.roles.get(workflow, frozenset())
        return not theirs.isdisjoint(roles)


@dataclass
class Stage:
    """Where they act; `known` are names that lead somewhere, by what they are names of."""

    served: Any
    actor: Actor
    wire: Wire
    snapshot: Snapshot
    known: dict[str, str]
    did: set[str] = field(default_factory=set)

    @property
    def made(self) -> Made:
        """Which case of the sample is which."""
        made: Made = self.served.made
        return made

    def act(self, sent: Sent, reads_body: bool = True) -> Answer | None:
        """Send a request, judge the answer and what it did, and undo it."""
        try:
            answer = self.wire.send(sent, reads_body)
            _wait_for_background()
            if answer is not None:
                self._judge_answer(sent, answer)
            self.did = self._judge_changes()
            return answer
        finally:
            self.snapshot.restore()

    def _judge_answer(self, sent: Sent, answer: Answer) -> None:
        assert answer.status < 500, answer.body[:2_000]
        if answer.body == b"Invalid HTTP request received.":
            assert answer.status == 400
            return
        for name in HEADERS:
            assert name in answer.headers, f"{name} is missing"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert (
            "unsafe" not in policy.replace("style-src 'self' 'unsafe-inline'", "") or "trace" in sent.target
        )
        where = answer.headers.get("location", "/")
        assert where.startswith("/"), where
        assert not where.startswith(("//", "/\\")), where
        self._judge_secrets(sent, answer)

    def _judge_secrets(self, sent: Sent, answer: Answer) -> None:
        """What somebody has sent himself may be shown to him again."""
        own = sent.to_bytes("").decode("latin-1")
        text = answer.body.decode("utf-8", "replace")
        hidden: Sequence[str] = ()
        if self.actor.person is None or self.actor.name == Role.DEVELOPER:
            hidden = SECRETS
            assert not answer.body.startswith((b"\xff\xd8", b"PK")), "evidence, or a file"
        if not self.actor.has(frozenset(Role), RENT):
            hidden = (*hidden, *ELSEWHERE, "Mx Test", "rises by 14%")
        for secret in hidden:
            assert secret not in text or secret in own, f"{secret!r} is shown to {self.actor.name}"

    def _judge_changes(self) -> set[str]:
        """What the audit says was done, once it is clear that he may do it, and that nothing is done without it."""
        changed = self.snapshot.changed()
        person = self.actor.person
        entries = [one for one in changed.get("audit", []) if not self._was_there(one)]
        for entry in entries:
            assert person is not None, f"nobody has {entry['action']}"
            assert entry["actor"] == person.id, entry
            assert self._may(entry), f"{self.actor.name} has {entry['action']} {entry['subject']}"
        if not entries:
            may_learn = any(self.actor.has(SUPERVISORS, one) for one in WORKFLOWS)
            silent = (LEARNT if may_learn else frozenset()) | (COUNTED if person else frozenset())
            assert set(changed) <= silent, f"changed without a word: {set(changed)}"
        return {str(entry["action"]) for entry in entries}

    def _was_there(self, entry: Mapping[str, Any]) -> bool:
        """Whether it was only linked into the chain."""
        return int(entry["id"]) <= int(self.known["newest entry"])

    def _may(self, entry: Mapping[str, Any]) -> bool:
        action, subject = str(entry["action"]), str(entry["subject"])
        person = self.actor.person
        assert person is not None
        if action == "signed out":
            return subject == f"person {person.id}" or self.actor.has(frozenset({Role.ADMINISTRATOR}), None)
        roles = MAY.get(action, frozenset())
        may_at_all = any(self.actor.has(roles, one) for one in (*WORKFLOWS, None))
        return may_at_all and all(self.actor.has(roles, one) for one in self._workflows_of(subject))

    def _workflows_of(self, subject: str) -> list[str | None]:
        """The workflows that something belongs to; [None] for what belongs to all."""
        kind, _, name = subject.partition(" ")
        bots, bulks = schema.workflow_bots.c, schema.bulk_actions.c
        with self.served.ledger.reading() as connection:
            for table in (schema.cases, schema.batches):
                query = select(table.c.workflow).where(table.c.id == (name if kind == "batch" else subject))
                found = connection.execute(query).scalar()
                if found is not None:
                    return [str(found)]
            if kind == "bot":
                query = select(bots.workflow).where(bots.bot == name)
                return list(connection.execute(query).scalars()) or [None]
            if kind == "bulk":
                return list(
                    json.loads(
                        connection.execute(select(bulks.workflows).where(bulks.id == name)).scalar_one()
                    )
                )
        if kind == "schedule":
            return [PLANNED[name].plan.workflow]
        return {"workflow": [name], "message": []}.get(kind, [None])


@contextmanager
def staged(served: Any, actor_name: str, *workflows: str) -> Iterator[Stage]:
    """A stage for one person: a role's name, or "nobody"."""
    ledger = served.ledger
    assert leases.hold(ledger, LEASE, "nobody goes on with bulk actions here", timedelta(days=1))
    colleague = _person("Test Colleague", Role.SUPERVISOR)
    sessions.begin(ledger, as_who(colleague), "link")
    desk = Desk(ledger, WORKFLOWS, colleague, lambda: None)
    made = served.made
    desk.comment(made.question, "a remark of the sample")
    go_wrong(ledger)
    bulks = {
        state: desk.begin_bulk(BulkAction.SET_PRIORITY, BulkFilter(workflow=RENT), "for the sample", "3")
        for state in ("working", "paused")
    }
    desk.pause_bulk(bulks["paused"])
    actor = _signed_in(served, actor_name, workflows)
    known = {"bulk": bulks["working"], "paused bulk": bulks["paused"], "colleague": colleague.id}
    known |= {"schedule": NIGHTLY, "slot": SLOT}
    known |= _known(served, colleague.id)
    snapshot = Snapshot(ledger.engine.url.database)
    with Wire(served.url) as wire:
        yield Stage(served, actor, wire, snapshot, known)
    snapshot.close()


def _signed_in(served: Any, name: str, workflows: Sequence[str]) -> Actor:
    if name == "nobody":
        return Actor(name)
    person = _person(f"Test {name.capitalize()}", Role(name), *workflows)
    token = sessions.begin(served.ledger, as_who(person), "link")
    return Actor(name, person, (f"{cookie_name(served.site, 'session')}={token}",))


def _person(name: str, role: Role, *workflows: str) -> Person:
    address = f"{name.lower().replace(' ', '.')}@example.test"
    return Person(address, name, {one: frozenset({role}) for one in workflows or (EVERY,)})


def _known(served: Any, colleague: str) -> dict[str, str]:
    with served.ledger.reading() as connection:
        batches = schema.batches.c
        names = dict(
            connection.execute(select(batches.workflow, batches.id).order_by(batches.handed_in_at)).all()
        )
        waits = schema.escalations.c
        waiting = connection.execute(select(waits.case, waits.id).where(waits.settled_at.is_(None))).all()
        audit = schema.audit.c
        newest = connection.execute(select(audit.id).order_by(audit.id.desc()).limit(1)).scalar_one()
        session = connection.execute(
            select(schema.sessions.c.id).where(schema.sessions.c.person == colleague)
        ).scalar_one()
    return {
        "rents": names[RENT],
        "permits": names[PERMIT],
        "newest entry": str(newest),
        "session": str(session),
        **{f"seen {case}": str(one) for case, one in waiting},
    }


def _wait_for_background() -> None:
    """What a page begins and does not wait for."""
    for thread in threading.enumerate():
        if thread.name.startswith("casehand "):
            thread.join(30)
