"""A session is kept from case to case, noticed when it has expired, and never shared."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from casehand import Account, SignInRefused, SystemException
from casehand.bots.browser import WarmBrowser
from casehand.bots.session import Session


@pytest.fixture
def session(system: Any, account: Account, warm: WarmBrowser, bot_class: Any) -> Iterator[Session]:
    session = Session(bot_class, system.url, account, warm)
    yield session
    session.forget()


def test_a_session_is_kept_from_case_to_case_and_a_case_that_ended_badly_leaves_no_page(
    session: Session, system: Any
) -> None:
    first = session.open()
    first.page.evaluate("window.left = 1")
    first.page.context.new_page()
    second = session.open()
    assert first.page.is_closed()
    assert second.page.context.pages == [second.page]
    assert second.page.evaluate("window.left === undefined")
    assert second.is_signed_in()
    assert system.sign_ins == ["robot"]


def test_a_page_that_a_good_case_leaves_is_the_next_ones_as_if_it_were_new(
    session: Session, system: Any
) -> None:
    first = session.open()
    first.page.evaluate("window.left = 1; window.name = 'left'; document.title = 'left'")
    with first.page.expect_popup():
        first.press("Notes")
    session.leave_page()
    second = session.open()
    assert second is not first
    assert second.page is first.page
    assert second.page.context.pages == [second.page]
    assert second.page.evaluate("[window.left, window.name, document.title]") == [None, "", ""]
    assert second.page.url == system.url
    assert second.is_signed_in()
    assert system.sign_ins == ["robot"]


def test_the_bot_that_has_left_hears_no_more_of_its_page(session: Session) -> None:
    first = session.open()
    session.leave_page()
    second = session.open()
    second.press("Alert")
    with pytest.raises(SystemException, match="alert"):
        second.check()
    first.check()
    with second.confirming("Save the rent of claim 7?"):
        assert second.press("Save") == "true"


def test_a_page_is_left_to_one_case_only(session: Session) -> None:
    first = session.open()
    session.leave_page()
    session.open()
    assert session.open().page is not first.page


def test_a_page_that_does_not_let_go_is_thrown_away(session: Session) -> None:
    first = session.open()
    # A browser asks only for a page that somebody has touched.
    first.page.get_by_text("Signed in as").click()
    first.page.evaluate("() => { window.onbeforeunload = event => event.preventDefault() }")
    session.leave_page()
    second = session.open()
    assert first.page.is_closed()
    assert second.is_signed_in()
    second.check()


def test_a_page_that_was_lost_is_not_the_next_ones(session: Session) -> None:
    first = session.open()
    session.leave_page()
    first.page.close()
    assert session.open().is_signed_in()


def test_a_session_that_has_ended_is_noticed_on_the_page_that_was_left(session: Session, system: Any) -> None:
    session.open()
    session.leave_page()
    system.sessions.clear()
    assert session.open().is_signed_in()
    assert system.sign_ins == ["robot", "robot"]


def test_a_forgotten_session_leaves_no_page(session: Session) -> None:
    session.open()
    session.leave_page()
    session.forget()
    assert session.open().is_signed_in()


@pytest.mark.parametrize(("fragment", "own"), [("#desk", False), ("", True)])
def test_a_bot_that_wants_it_and_an_address_with_a_fragment_have_a_fresh_page_each_time(
    system: Any, account: Account, warm: WarmBrowser, bot_class: Any, fragment: str, own: bool
) -> None:
    class Careful(bot_class):  # type: ignore[misc]
        fresh_page = own

    session = Session(Careful, system.url + fragment, account, warm)
    first = session.open()
    session.leave_page()
    assert session.open().page is not first.page
    session.forget()


def test_a_session_that_has_expired_is_renewed(session: Session, system: Any) -> None:
    session.open()
    system.sessions.clear()
    assert session.open().is_signed_in()
    assert system.sign_ins == ["robot", "robot"]


def test_a_session_that_is_forgotten_is_signed_in_anew(session: Session, system: Any) -> None:
    session.open()
    session.forget()
    session.forget()
    assert session.open().is_signed_in()
    assert system.sign_ins == ["robot", "robot"]


def test_a_refused_sign_in_is_tried_once(system: Any, warm: WarmBrowser, bot_class: Any) -> None:
    session = Session(bot_class, system.url, Account("robot", SecretStr("wrong")), warm)
    with pytest.raises(SignInRefused, match="Not recognised"):
        session.open()
    assert system.sign_ins == ["robot"]
    session.forget()


def test_a_sign_in_after_which_nobody_is_signed_in_counts_as_refused(
    system: Any, account: Account, warm: WarmBrowser, bot_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(bot_class):  # type: ignore[misc]
        def sign_in(self) -> None:
            self.page.goto(self.url)

    monkeypatch.setattr("casehand.bots.session.SIGN_IN_SECONDS", 0.3)
    session = Session(Lost, system.url, account, warm)
    with pytest.raises(SignInRefused, match="did not work"):
        session.open()
    session.forget()


def test_two_bots_never_share_a_session(
    session: Session, system: Any, account: Account, warm: WarmBrowser, bot_class: Any
) -> None:
    class Another(bot_class):  # type: ignore[misc]
        name = "another"

    session.open()
    another = Session(Another, system.url, Account("second", account.password), warm)
    assert another.open().page.get_by_text("Signed in as second").is_visible()
    assert session.open().page.get_by_text("Signed in as robot").is_visible()
    assert system.sign_ins == ["robot", "second"]
    another.forget()


def test_who_may_not_sign_in_now_does_not_try(
    system: Any, account: Account, warm: WarmBrowser, bot_class: Any
) -> None:
    @contextmanager
    def turn() -> Iterator[None]:
        raise SignInRefused("another worker's sign-in was refused")
        yield

    session = Session(bot_class, system.url, account, warm, turn)
    with pytest.raises(SignInRefused, match="another worker"):
        session.open()
    assert system.sign_ins == []
    session.forget()
