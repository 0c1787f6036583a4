"""Live updates: who is told, how many at once, and until when."""

from typing import Any

import httpx2
import pytest
from samples import Made

from casehand.queue import pauses, sessions
from casehand.queue.pauses import PauseKind
from casehand.queue.sessions import Limits

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def made() -> Made:
    """No cases."""
    return Made()


@pytest.fixture
def console_given() -> dict[str, Any]:
    """Room for two."""
    return {"live_connections": 2}


@pytest.fixture
def client(served: Any, somebody: Any) -> Any:
    """A program that somebody is signed in with."""
    with httpx2.Client(base_url=served.url, timeout=10) as opened:
        token = served.link(somebody("supervisor")).partition("token=")[2]
        opened.post("/sign-in/link", data={"token": token}, headers=SAME)
        yield opened


def pause(served: Any, name: str) -> None:
    """Change something."""
    pauses.pause(served.ledger, PauseKind.BOT, name, "a test", "s.sample@example.test")


def test_a_change_is_told_and_what_it_was_is_not(client: httpx2.Client, served: Any) -> None:
    with client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        pause(served, "benefits")
        said = [next(lines) for _ in range(3)]
    assert said == ["event: changed", "id: 1", "data: "]


def test_who_was_away_is_told_at_once(client: httpx2.Client) -> None:
    with client.stream("GET", "/events", headers={"last-event-id": "1"}) as stream:
        assert next(stream.iter_lines()) == "event: changed"


def test_more_than_may_be_told_are_asked_to_come_back_in_a_minute(client: httpx2.Client) -> None:
    with client.stream("GET", "/events"), client.stream("GET", "/events"):
        busy = client.get("/events")
    assert busy.text.startswith("retry: 60000\nevent: changed\n")


def test_nobody_is_told_who_is_not_signed_in(served: Any) -> None:
    assert httpx2.get(f"{served.url}/events").status_code == 204


def test_a_session_that_was_ended_is_told_no_more(client: httpx2.Client, served: Any) -> None:
    limits = Limits(served.site.console.idle, served.site.console.longest)
    (session,) = sessions.open_sessions(served.ledger, limits)
    with client.stream("GET", "/events") as stream:
        sessions.end(served.ledger, session.id, "a test")
        assert list(stream.iter_lines()) == []


def test_the_choice_to_stop_updates_is_kept_for_the_browser(client: httpx2.Client) -> None:
    answer = client.post("/live-updates", data={"live": "paused", "back": "/sessions"}, headers=SAME)
    assert answer.headers["location"] == "/sessions"
    assert "data-hx-sse" not in client.get("/").text
    client.post("/live-updates", data={"live": "on"}, headers=SAME)
    assert "data-hx-sse" in client.get("/").text
