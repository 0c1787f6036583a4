"""Signing in by OpenID Connect, at a real identity provider: oidc-provider in a process of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import httpx2
import pytest
from playwright.sync_api import Page, expect
from samples import Clock, Made

from casehand.console.web.settings import console_settings
from casehand.exceptions import CasehandError
from casehand.queue.ledger import Ledger
from casehand.settings import load_settings

IDENTITY = Path(__file__).parents[2] / "identity"
CACHE = Path(__file__).parents[3] / ".casehand/cache/identity"
INSTALL_SECONDS = 120
ROLES = {
    "casehand-supervisors": {"*": ("supervisor",)},
    "casehand-viewers": {"*": ("viewer",)},
    "parking": {"parking/permit-renewal": ("developer",)},
}
Opened = Callable[..., Page]


@dataclass
class Identity:
    """The identity provider."""

    issuer: str

    def set_up(self, **given: Any) -> None:
        """Set it up anew: new keys, at the least."""
        request = Request(f"{self.issuer}/set-up", json.dumps(given).encode(), method="POST")
        urlopen(request).close()


@pytest.fixture(scope="session")
def program() -> Path:
    """The provider's program, installed once with what it stands on."""
    npm = shutil.which("npm")
    if npm is None:
        if os.environ.get("CI"):
            pytest.fail("npm is missing: install Debian's package npm")
        pytest.skip("npm is not installed here (Debian's package is npm)")
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = (IDENTITY / "package-lock.json").read_bytes()
    installed = CACHE / "package-lock.json"
    if not (CACHE / "node_modules").is_dir() or not installed.exists() or installed.read_bytes() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(IDENTITY / name, CACHE)
        command = [npm, "ci", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=CACHE, check=True, timeout=INSTALL_SECONDS)
    shutil.copy(IDENTITY / "provider.mjs", CACHE)
    return CACHE / "provider.mjs"


@pytest.fixture(scope="module")
def running(program: Path) -> Iterator[Identity]:
    """The provider's process."""
    command = ["node", str(program)]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
    }
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout is not None
        yield Identity(process.stdout.readline().strip())


@pytest.fixture
def clock() -> Clock:
    """The time as the provider has it."""
    return Clock(datetime.now(UTC))


@pytest.fixture
def made(console_ledger: Ledger) -> Made:
    """No cases."""
    return Made()


@pytest.fixture
def console_given(running: Identity) -> dict[str, Any]:
    """The settings of the console."""
    return {
        "oidc_issuer": running.issuer,
        "oidc_client": "casehand",
        "oidc_secret": "only-for-tests",
        "oidc_scope": "openid profile email groups",
        "roles": ROLES,
    }


@pytest.fixture
def identity(running: Identity, served: Any) -> Identity:
    """The provider, which knows where the console is."""
    running.set_up(redirect=served.url, claimsInToken=False, secret="only-for-tests")
    return running


def give_name(page: Page, who: str) -> None:
    """Sign in on the provider's own page."""
    page.get_by_placeholder("Enter any login").fill(who)
    page.get_by_placeholder("and password").fill("anything")
    page.get_by_role("button", name="Sign-in").click()


def sign_in(page: Page, who: str, path: str = "/") -> None:
    """Go to a page of the console, and sign in on the way."""
    page.goto(path)
    page.get_by_role("button", name="Sign in").click()
    give_name(page, who)


def test_somebody_signs_in_and_comes_to_the_page_he_wanted(
    identity: Identity, opened: Opened, served: Any
) -> None:
    page = opened()
    sign_in(page, "s.sample", "/sessions?from=a%20letter")
    expect(page).to_have_url(f"{served.url}/sessions?from=a%20letter")
    expect(page.get_by_role("banner")).to_contain_text("Signed in as Sam Sample")
    cookie = next(
        one for one in page.context.cookies() if "session" in one["name"] and "casehand" in one["name"]
    )
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"


def test_his_groups_give_him_his_roles(identity: Identity, opened: Opened, served: Any) -> None:
    page = opened()
    sign_in(page, "s.sample")
    with served.ledger.engine.connect() as connection:
        (row,) = connection.exec_driver_sql("SELECT person, roles FROM sessions").all()
    assert row.person == "s.sample@example.test"
    assert json.loads(row.roles) == {"*": ["supervisor"], "parking/permit-renewal": ["developer"]}


def test_the_groups_may_stand_in_the_token_itself(identity: Identity, opened: Opened) -> None:
    identity.set_up(claimsInToken=True)
    page = opened()
    sign_in(page, "v.sample")
    expect(page.get_by_role("banner")).to_contain_text("Signed in as Vic Sample")


def test_an_address_that_was_not_verified_is_nobodys_name(
    identity: Identity, opened: Opened, served: Any
) -> None:
    page = opened()
    sign_in(page, "u.sample")
    with served.ledger.engine.connect() as connection:
        (person,) = connection.exec_driver_sql("SELECT person FROM sessions").scalars()
    assert person == "u.sample"


def test_somebody_of_no_group_with_a_role_is_not_let_in(
    identity: Identity, opened: Opened, served: Any, finds_nothing: Callable[[Page], None]
) -> None:
    page = opened()
    sign_in(page, "o.sample")
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("none of your groups has a role in Casehand")
    finds_nothing(page)
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_keys_of_the_provider_may_change(identity: Identity, opened: Opened) -> None:
    first = opened()
    sign_in(first, "s.sample")
    identity.set_up(keys=1)
    second = opened()
    sign_in(second, "v.sample")
    expect(second.get_by_role("banner")).to_contain_text("Signed in as Vic Sample")


def test_a_state_is_good_once(identity: Identity, opened: Opened, served: Any) -> None:
    page = opened()
    answers: list[str] = []
    page.on(
        "request", lambda request: answers.append(request.url) if "/sign-in/back?" in request.url else None
    )
    sign_in(page, "s.sample")
    expect(page.get_by_role("banner")).to_contain_text("Sam Sample")
    page.goto(answers[0])
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("was used already")


def test_a_state_is_good_in_the_browser_that_began_only(
    identity: Identity, opened: Opened, served: Any
) -> None:
    page = opened()
    page.goto("/")
    page.get_by_role("button", name="Sign in").click()
    # As where somebody is made to follow an answer that was begun by another.
    page.context.clear_cookies(name=f"casehand-sign-in-{served.site.console.port}")
    give_name(page, "s.sample")
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize(
    ("changed", "query"),
    [
        ("no code", "state={state}"),
        ("another code", "state={state}&code=made-up"),
        ("another provider", "state={state}&code=made-up&iss=http://127.0.0.1:9/"),
        ("an error", "state={state}&error=access_denied"),
    ],
)
def test_an_answer_that_is_not_the_providers_signs_nobody_in(
    identity: Identity, served: Any, changed: str, query: str
) -> None:
    with httpx2.Client(base_url=served.url) as client:
        begun = client.get("/sign-in/begin")
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        answer = client.get(f"/sign-in/back?{query.format(state=state)}")
    assert answer.status_code == 403, changed
    assert "did not say who you are" in answer.text
    assert "session" not in answer.headers.get("set-cookie", "")


def test_the_sign_in_is_asked_for_with_pkce_state_and_nonce(identity: Identity, served: Any) -> None:
    with httpx2.Client(base_url=served.url) as client:
        asked = parse_qs(urlsplit(client.get("/sign-in/begin").headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == 43
    assert len(asked["state"][0]) >= 43
    assert len(asked["nonce"][0]) == 43
    assert asked["response_type"] == ["code"]


@pytest.mark.parametrize(("minutes", "is_let_in"), [(1, True), (-1, True), (-90, False), (90, False)])
def test_clocks_may_differ_by_a_minute_and_not_by_an_hour(
    identity: Identity, opened: Opened, clock: Clock, minutes: int, is_let_in: bool
) -> None:
    page = opened()
    clock.pass_time(minutes=minutes)
    sign_in(page, "s.sample")
    wanted = "Home" if is_let_in else "You are not signed in"
    expect(page.get_by_role("heading", name=wanted)).to_be_visible()


def test_a_wrong_secret_signs_nobody_in(identity: Identity, opened: Opened) -> None:
    identity.set_up(secret="another-one")
    page = opened()
    sign_in(page, "s.sample")
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()


def test_who_signs_out_may_sign_out_of_the_provider_too(
    identity: Identity, opened: Opened, finds_nothing: Callable[[Page], None]
) -> None:
    page = opened()
    sign_in(page, "s.sample")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    finds_nothing(page)
    page.get_by_role("link", name="sign out of that account too").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_placeholder("Enter any login")).to_be_visible()


def test_a_link_of_this_machine_is_not_offered_beside_it(identity: Identity, opened: Opened) -> None:
    page = opened()
    page.goto("/sign-in")
    assert "casehand console --link" not in page.content()


def test_a_provider_that_does_not_answer_is_said_plainly(
    served: Any, running: Identity, opened: Opened
) -> None:
    object.__setattr__(served.site.console, "oidc_issuer", "http://127.0.0.1:9")
    page = opened()
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("main")).to_contain_text("The identity provider does not answer.")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"oidc_issuer": "http://identity.example.test"}, "must begin with https://"),
        ({"oidc_issuer": "https://identity.example.test"}, "needs oidc_client"),
        ({"oidc_issuer": "https://identity.example.test", "oidc_client": "casehand"}, "needs roles"),
        ({"roles": {"group": {"*": ["king"]}}}, "ROLES_GROUP_*_0 is wrong"),
    ],
)
def test_settings_that_would_let_nobody_or_anybody_in_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(CasehandError, match=told.replace("*", r"\*")):
        console_settings(load_settings(), **given)
