"""What holds of every route: nobody gets in who is not signed in, and no role finds a fault."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from starlette.routing import Mount, Route

from casehand.console.rights import Role
from casehand.console.web.app import FAMILIES

SAME = {"sec-fetch-site": "same-origin"}
OPEN = {"/sign-in", "/sign-in/begin", "/sign-in/back", "/sign-in/link"}
"""What is there for nobody in particular."""


def routes() -> Iterator[tuple[str, str]]:
    """Every route, with something in its path's place."""
    for family in FAMILIES:
        for route in family.routes:
            assert isinstance(route, Route), f"{route} is no page: nothing asks there who it is"
            for method in sorted((route.methods or set()) - {"HEAD"}):
                path = route.path
                for name, convertor in route.param_convertors.items():
                    kind = (
                        type(convertor).__name__.removesuffix("Convertor").lower().replace("integer", "int")
                    )
                    value = "1" if kind in ("int", "float") else "nothing"
                    path = path.replace(f"{{{name}:{kind}}}", value).replace(f"{{{name}}}", value)
                yield method, path


def test_no_route_is_a_mount_of_something_else() -> None:
    assert not [route for family in FAMILIES for route in family.routes if isinstance(route, Mount)]


def test_every_route_asks_who_it_is(served: Any) -> None:
    with httpx2.Client(base_url=served.url) as client:
        for method, path in routes():
            answer = client.request(method, path, headers=SAME)
            if path in OPEN:
                continue
            if path == "/events":
                assert answer.status_code == 204
            elif method == "GET":
                assert answer.headers["location"].startswith("/sign-in?back="), path
            else:
                assert answer.status_code == 401, path


@pytest.mark.parametrize("role", Role)
def test_no_role_finds_a_fault_on_any_page(served: Any, somebody: Any, role: Role) -> None:
    with httpx2.Client(base_url=served.url) as client:
        token = served.link(somebody(role)).partition("token=")[2]
        client.post("/sign-in/link", data={"token": token}, headers=SAME)
        for method, path in routes():
            if path in ("/events", "/sign-out"):
                continue
            answer = client.request(method, path, headers=SAME)
            assert answer.status_code < 500, (method, path)
