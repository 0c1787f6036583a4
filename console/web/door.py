"""The door: who it is that a request comes from, and the asking of whoever is nobody yet."""

import json
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.console.desk import Desk, outlook_of
from casehand.console.person import Person
from casehand.console.rights import Role
from casehand.console.web.paths import own_path
from casehand.console.web.rendering import is_live_request, render
from casehand.console.web.site import Site
from casehand.queue import sessions
from casehand.queue.sessions import Limits, Session, Who

FRESH = timedelta(seconds=30)
"""How old what is said of cases at risk may be: it is an estimate, and a look counts all that is queued."""

NO_CONTENT = 204
UNAUTHORISED = 401


class Door:
    """Knows the person behind a request."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.limits = Limits(site.console.idle, site.console.longest)
        self.cookie = cookie_name(site, "session")
        self._calendar = site.settings.working_calendar
        self._outlook = outlook_of(site.ledger, site.workflows, self._calendar, FRESH)

    def let_in(self, request: Request) -> bool:
        """Note in the request who it is, his session and his desk; False when it is nobody who is signed in.

        What a page fetches by itself does not make the session last longer.
        """
        session = self.look_up(request)
        if session is None:
            return False
        person = as_person(session.who)
        request.state.session = session
        request.state.person = person
        request.state.desk = self._desk_of(person)
        return True

    def look_up(self, request: Request) -> Session | None:
        """The session that a request belongs to, if any."""
        token = request.cookies.get(self.cookie)
        if not token:
            return None
        return sessions.find(self._site.ledger, token, self.limits, is_used=not is_live_request(request))

    def open(self, answer: Response, token: str) -> Response:
        """Give a browser the token of its session."""
        set_cookie(self._site, answer, self.cookie, token)
        return answer

    def shut(self, answer: Response) -> Response:
        """Take the token away again."""
        answer.delete_cookie(self.cookie, secure=self._site.console.is_https, httponly=True, samesite="lax")
        return answer

    async def ask_to_sign_in(self, request: Request) -> Response:
        """The answer to nobody: first sign in, then come back. What was typed is kept in the page for that."""
        if is_live_request(request):
            return Response(status_code=NO_CONTENT)
        if request.method != "GET":
            return await _keep_what_was_typed(request)
        query = f"?{request.url.query}" if request.url.query else ""
        here = quote(request.scope["path"])
        where = f"/sign-in?back={quote(own_path(f'{here}{query}'), safe='')}"
        if request.headers.get("hx-request"):
            return Response(status_code=NO_CONTENT, headers={"hx-redirect": where})
        return RedirectResponse(where, 303)

    def _desk_of(self, person: Person) -> Desk:
        site = self._site
        return Desk(site.ledger, site.workflows, person, site.nudge, self._calendar, self._outlook)


def as_person(who: Who) -> Person:
    """The person whom the ledger keeps with a session; a role that there is no more is left out."""
    roles: Mapping[str, list[str]] = json.loads(who.roles)
    known = {
        workflow: frozenset(Role(name) for name in names if name in set(Role))
        for workflow, names in roles.items()
    }
    return Person(who.person, who.name, known)


def as_who(person: Person) -> Who:
    """A person as the ledger keeps him."""
    roles = {workflow: sorted(names) for workflow, names in sorted(person.roles.items())}
    return Who(person.id, person.name, json.dumps(roles))


def cookie_name(site: Site, what: str) -> str:
    """A cookie's name: bound to this host where browsers do that, and else to the port, which cookies forget."""
    return f"__Host-casehand-{what}" if site.console.is_https else f"casehand-{what}-{site.console.port}"


def set_cookie(site: Site, answer: Response, name: str, value: str, seconds: int | None = None) -> None:
    """Give a browser a cookie that no script and no other website can use."""
    answer.set_cookie(
        name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=site.console.is_https
    )


async def _keep_what_was_typed(request: Request) -> Response:
    """A page that holds what was sent, to be sent again by one press once the person has signed in elsewhere."""
    async with request.form() as form:
        typed = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        has_files = any(not isinstance(value, str) and value.filename for _, value in form.multi_items())
    return render(
        request,
        "kept.html",
        UNAUTHORISED,
        typed=typed,
        has_files=has_files,
        action=own_path(quote(request.scope["path"])),
    )
