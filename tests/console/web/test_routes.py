"""What holds of every route: nobody gets in who is not signed in, and no role finds a fault."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from starlette.routing import Mount, Route
from wire import Sent, Wire, same_site

from casehand.console.rights import Role
from casehand.console.web.app import FAMILIES
from casehand.console.web.evidence import LEFT_OUT, VIEWER, VIEWER_PATH
from casehand.settings import load_settings

SAME = {"sec-fetch-site": "same-origin"}
OPEN = {"/sign-in", "/sign-in/begin", "/sign-in/back", "/sign-in/link"}
"""What is there for nobody in particular."""
WAYS_UP = (
    "..",
    "%2e%2e",
    ".%2e",
    "..%2f",
    "..%5c",
    "%2e%2e%2f",
    "%252e%252e",
    "....//",
    "..%00",
    "/..",
    "..;",
)
"""Ways to write the folder above."""


def routes() -> Iterator[tuple[str, str]]:
    """Every route, with something in its path's place."""
    for family in FAMILIES:
        for route in family.routes:
            if isinstance(route, Mount) and route.path == VIEWER_PATH:
                continue  # nothing of a case is there, which has tests of its own below
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


def test_the_only_mount_is_that_of_the_viewer_of_traces() -> None:
    mounts = [route for family in FAMILIES for route in family.routes if isinstance(route, Mount)]
    assert [route.path for route in mounts] == [VIEWER_PATH]


def test_the_viewer_is_the_files_of_the_package_to_the_byte_and_no_others(served: Any) -> None:
    files = {file.relative_to(VIEWER).as_posix(): file for file in VIEWER.rglob("*") if file.is_file()}
    assert "index.html" in files
    with Wire(served.url) as wire:
        for name, file in files.items():
            answer = wire.send(Sent("GET", f"{VIEWER_PATH}/{name}", same_site()))
            assert answer is not None
            if name.startswith(LEFT_OUT):
                assert answer.status == 404, name
            else:
                assert (answer.status, answer.body) == (200, file.read_bytes()), name
                assert "set-cookie" not in answer.headers
        for method in ("POST", "PUT", "DELETE"):
            answer = wire.send(Sent(method, f"{VIEWER_PATH}/index.html", same_site()))
            assert answer is not None
            assert answer.status == 405


def test_no_way_leads_out_of_the_viewer_s_folder(served: Any) -> None:
    """To files that are there: those beside the folder, the ledger, evidence, the machine's own."""
    case = served.made.question
    picture = load_settings().evidence / case / "1" / "01-question.jpg"
    assert picture.exists()
    beside = [file.parent.name for file in VIEWER.parent.glob("*/index.html") if file.parent != VIEWER]
    assert beside
    wanted = (
        *(f"{way}/{name}/index.html" for way in WAYS_UP for name in beside),
        *(f"{'/'.join([way] * 20)}{file}" for way in WAYS_UP for file in ("/etc/passwd", picture.as_posix())),
        *(f"assets/{way}/{LEFT_OUT}.html" for way in ("..", "%2e%2e", "..%2f")),
        *(f"/{picture}", f"%2f{picture}", f"evidence/{case}/1/01-question.jpg", "%00", "x%00.html", "%ff"),
        *("x" * 5_000, "a/" * 2_000, "", ".", "assets", "assets/"),
    )
    with Wire(served.url) as wire:
        for name in wanted:
            answer = wire.send(Sent("GET", f"{VIEWER_PATH}/{name}", same_site()))
            assert answer is not None
            assert answer.status in (400, 404), name[:100]
            assert b"root:" not in answer.body


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
