"""What may be late, and what is: shown on home, the batch and the case, and worked late only by a person's word."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from casehand.queue import overdue, urgency
from casehand.queue.cases import counts, tell
from casehand.queue.pauses import PauseKind, pause

IN_A_MOMENT = timedelta(minutes=1)


@pytest.fixture
def client(client_for: Callable[..., httpx2.Client], somebody: Callable[..., Any]) -> httpx2.Client:
    """A supervisor at the pages."""
    return client_for(somebody("supervisor"))


@pytest.fixture
def late(served: Any) -> Any:
    """The queued case of the sample, which is past its due date and waits for a person."""
    urgency.set_due(served.ledger, served.made.queued, served.ledger.clock() - IN_A_MOMENT, "a person")
    assert overdue.sweep(served.ledger, "worker-1") == 1
    return tell(served.ledger, served.made.queued)


def test_what_may_be_late_is_shown_wherever_one_looks(served: Any, client: httpx2.Client) -> None:
    line = tell(served.ledger, served.made.queued).line
    assert "At risk" not in client.get("/").text
    urgency.set_due(served.ledger, line.id, served.ledger.clock() + IN_A_MOMENT, "a person")
    pause(served.ledger, PauseKind.BATCH, str(line.batch), "a look", "a person")
    # The pages look at it together, twice a minute.
    served.clock.pass_time(seconds=30)

    # All that is queued of the batch is due within a day, and held back.
    queued = counts(served.ledger, batch=line.batch)["queued"]
    assert f"{queued} cases may miss their due date" in client.get("/").text
    assert (
        f"{queued} cases of this batch may miss their due date" in client.get(f"/batches/{line.batch}").text
    )
    case = client.get(f"/cases/{line.reference}").text
    assert "At risk" in case
    assert "it is held back, and its date is near" in case


def test_a_case_past_its_date_says_why_it_waits(client: httpx2.Client, late: Any) -> None:
    assert "Its due date passed before it was begun" in client.get("/").text
    for address in (f"/cases/{late.line.reference}", f"/escalations/{late.line.reference}"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "Its due date passed before it was begun" in answer.text


def test_it_is_worked_late_only_when_somebody_ticks_the_box(
    served: Any, client: httpx2.Client, late: Any
) -> None:
    here = f"/escalations/{late.line.reference}"
    asked = client.get(f"{here}?do=return").text
    assert "Have it worked late: it was due by" in asked
    sent = {"_do": "return", "_case": late.line.id, "_seen": str(late.escalations[-1].id)}

    refused = client.post(here, data=sent)
    assert refused.status_code == 422
    assert "tick the box to have it worked late" in refused.text
    assert tell(served.ledger, late.line.id).line.state == "escalated"

    assert client.post(here, data=sent | {"late": "yes"}).status_code == 303
    assert tell(served.ledger, late.line.id).line.state == "queued"


def test_a_batch_is_put_off_from_its_page(served: Any, client: httpx2.Client) -> None:
    line = tell(served.ledger, served.made.queued).line
    page = client.get(f"/batches/{line.batch}").text
    assert f"/bulk/new?batch={line.batch}" in page
    chosen = {"batch": str(line.batch), "action": "put off"}
    asked = client.get("/bulk/new", params=chosen).text
    assert "Put off" in asked
    assert 'name="begin"' in asked

    missing = client.post("/bulk/new", data={**chosen, "reason": "year end", "total": "99"})
    assert "Enter when they may begin" in missing.text
    begun = client.post(
        "/bulk/new", data={**chosen, "reason": "year end", "total": "99", "begin": "2027-01-04T07:00"}
    )

    assert begun.status_code == 303
