"""The door: who it is that a request comes from."""

from starlette.requests import Request
from starlette.responses import Response

from casehand.console.person import machine_user
from casehand.console.web.site import Site


class Door:
    """Knows the person behind a request, and asks whoever is not signed in to do so."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def let_in(self, request: Request) -> bool:
        """Note who it is in the request; False when it is nobody who is signed in."""
        request.state.person = machine_user()
        return True

    async def ask_to_sign_in(self, request: Request) -> Response:
        """The answer to a request of nobody."""
        raise NotImplementedError
