"""Signing in and out, and the page that shows who is signed in where.

With OpenID Connect people sign in with the council's identity provider. Without it, a link that `casehand console`
prints signs in the user of this machine, once, and only from this machine.
"""

import secrets
from datetime import timedelta

import structlog
from starlette.datastructures import Address
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.console.person import Person
from casehand.console.rights import Right, may
from casehand.console.web.door import Door, as_who, cookie_name, set_cookie
from casehand.console.web.limiter import Limiter
from casehand.console.web.openid import Keys, NoRole, NotSignedIn, Provider
from casehand.console.web.page import page
from casehand.console.web.paths import own_path
from casehand.console.web.rendering import render, see
from casehand.console.web.settings import is_loopback
from casehand.console.web.site import Site
from casehand.queue import sessions

log = structlog.get_logger()

TRIES_SPAN = timedelta(minutes=1)
COOKIE_SECONDS = int(sessions.SIGN_IN_LASTS.total_seconds())
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
REFUSED = 403


class Entrance:
    """What signing in works with."""

    def __init__(self, site: Site) -> None:
        self.limiter = Limiter(site.console.sign_ins_a_minute, TRIES_SPAN, site.ledger.clock)
        self.provider = Provider(site.console, site.ledger.clock)
        self.cookie = cookie_name(site, "sign-in")


def sign_in(request: Request) -> Response:
    """The page that asks who somebody is."""
    back = own_path(request.query_params.get("back"))
    if _door(request).look_up(request) is not None:
        return RedirectResponse(back, 303)
    return render(request, "sign_in.html", back=back, console=_site(request).console)


def begin_sign_in(request: Request) -> Response:
    """Send somebody to the identity provider."""
    site, entrance = _site(request), _entrance(request)
    if not site.console.has_oidc:
        raise HTTPException(404)
    _check_rate(request)
    browser = request.cookies.get(entrance.cookie) or secrets.token_urlsafe(32)
    state = sessions.expect_sign_in(site.ledger, browser, own_path(request.query_params.get("back")))
    try:
        address = entrance.provider.sign_in_address(state, Keys.of(browser, state))
    except NotSignedIn as error:
        return _failed(request, error, "The identity provider does not answer.")
    answer = RedirectResponse(address, 303)
    set_cookie(site, answer, entrance.cookie, browser, COOKIE_SECONDS)
    return answer


def finish_sign_in(request: Request) -> Response:
    """Take somebody back from the identity provider, and begin his session."""
    site, entrance = _site(request), _entrance(request)
    if not site.console.has_oidc:
        raise HTTPException(404)
    _check_rate(request)
    answer = dict(request.query_params)
    state, browser = answer.get("state", ""), request.cookies.get(entrance.cookie, "")
    back = sessions.accept_sign_in(site.ledger, state, browser)
    if back is None:
        return _failed(request, NotSignedIn("nobody of this browser was expected"), _BEGIN_AGAIN)
    try:
        person = entrance.provider.person(answer, Keys.of(browser, state))
    except NoRole:
        why = "You are known to the identity provider, but none of your groups has a role in Casehand."
        return render(request, "not_signed_in.html", REFUSED, why=why, can_try_again=False)
    except NotSignedIn as error:
        return _failed(request, error, "The identity provider did not say who you are.")
    return _let_in(request, sessions.begin(site.ledger, as_who(person), "openid connect"), back)


def look_at_link(request: Request) -> Response:
    """Ask whether the link is to be used: it is good once, and a browser may look at an address beforehand."""
    _check_this_machine(request)
    token = request.query_params.get("token", "")
    who = sessions.look_at_link(_site(request).ledger, token)
    if who is None:
        return _failed(request, NotSignedIn("the link is no good"), _LINK_IS_PAST)
    return render(request, "link.html", who=who, token=token, back=own_path(request.query_params.get("back")))


def use_link(request: Request) -> Response:
    """Begin a session by a link."""
    _check_this_machine(request)
    _check_rate(request)
    token = sessions.begin_by_link(_site(request).ledger, str(request.state.form.get("token", "")))
    if token is None:
        return _failed(request, NotSignedIn("the link is no good"), _LINK_IS_PAST)
    return _let_in(request, token, own_path(str(request.state.form.get("back", "/"))))


def signed_in(request: Request) -> Response:
    """Say that somebody is signed in, to go back to the page that he came from in another tab."""
    return render(request, "signed_in.html")


def sign_out(request: Request) -> Response:
    """End this session."""
    site = _site(request)
    sessions.end(site.ledger, request.state.session.id, request.state.person.id)
    request.state.person = None
    after = f"{site.console.address}/sign-in"
    elsewhere = _entrance(request).provider.sign_out_address(after) if site.console.has_oidc else None
    return _door(request).shut(render(request, "signed_out.html", elsewhere=elsewhere))


def all_sessions(request: Request) -> Response:
    """Show one's own sessions, and to an administrator everybody's."""
    ledger, limits = _site(request).ledger, _door(request).limits
    person: Person = request.state.person
    mine = sessions.open_sessions(ledger, limits, person.id)
    others = []
    if may(person, Right.MANAGE_SESSIONS):
        others = [one for one in sessions.open_sessions(ledger, limits) if one.who.person != person.id]
    return render(
        request, "sessions.html", mine=mine, others=others, here=request.state.session.id, limits=limits
    )


def end_session(request: Request) -> Response:
    """End a session: one's own, or as an administrator anybody's."""
    ledger, person = _site(request).ledger, request.state.person
    number = request.path_params["number"]
    open_now = {one.id: one for one in sessions.open_sessions(ledger, _door(request).limits)}
    session = open_now.get(number)
    if session is None or (session.who.person != person.id and not may(person, Right.MANAGE_SESSIONS)):
        raise HTTPException(404)
    if number == request.state.session.id:
        return sign_out(request)
    sessions.end(ledger, number, person.id)
    return see(request, "all_sessions")


def end_other_sessions(request: Request) -> Response:
    """End all of one's own sessions but this one."""
    person = request.state.person.id
    sessions.end_all(_site(request).ledger, person, person, but=request.state.session.id)
    return see(request, "all_sessions")


routes = [
    page("/sign-in", sign_in, needs_sign_in=False),
    page("/sign-in/begin", begin_sign_in, needs_sign_in=False),
    page("/sign-in/back", finish_sign_in, needs_sign_in=False),
    page("/sign-in/link", look_at_link, needs_sign_in=False),
    page("/sign-in/link", use_link, needs_sign_in=False, methods=["POST"]),
    page("/signed-in", signed_in),
    page("/sign-out", sign_out, methods=["POST"]),
    page("/sessions", all_sessions),
    page("/sessions/others/end", end_other_sessions, methods=["POST"]),
    page("/sessions/{number:int}/end", end_session, methods=["POST"]),
]

_BEGIN_AGAIN = "The sign-in took too long, was begun in another browser, or was used already."
_LINK_IS_PAST = "This link was used already, or is more than ten minutes old."


def _let_in(request: Request, token: str, back: str) -> Response:
    """Begin a session under a new token; one that the browser had before ends."""
    door = _door(request)
    before = door.look_up(request)
    if before is not None:
        sessions.end(_site(request).ledger, before.id, before.who.person)
    answer = RedirectResponse(back, 303)
    answer.delete_cookie(_entrance(request).cookie)
    return door.open(answer, token)


def _failed(request: Request, error: NotSignedIn, why: str) -> Response:
    log.warning("sign_in.failed", why=str(error), peer=_peer(request))
    return render(request, "not_signed_in.html", REFUSED, why=why, can_try_again=True)


def _check_rate(request: Request) -> None:
    if not _entrance(request).limiter.allows(_peer(request)):
        log.warning("sign_in.too_many", peer=_peer(request))
        raise HTTPException(429, headers={"retry-after": "60"})


def _check_this_machine(request: Request) -> None:
    """Raise HTTPException unless the request comes from this machine, by its own name, and through nobody else."""
    name = request.url.hostname or ""
    is_direct = not any(header in request.headers for header in FORWARDED)
    if not (is_loopback(_peer(request)) and is_loopback(name) and is_direct):
        raise HTTPException(404)


def _peer(request: Request) -> str:
    client: Address | None = request.client
    return "" if client is None else client.host


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


def _entrance(request: Request) -> Entrance:
    entrance: Entrance = request.app.state.entrance
    return entrance
