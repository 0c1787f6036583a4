"""The way through a list: onward behind the last row, and back as one came."""

from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from casehand.console.web.way import MOST, way


def at(address: str) -> Request:
    parts = urlsplit(address)
    return Request({"type": "http", "path": parts.path, "query_string": parts.query.encode(), "headers": []})


def query(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query)


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1), max_size=9
    )
)
def test_one_comes_back_by_the_pages_that_one_came_by(places: list[str]) -> None:
    here, been = "/audit?actor=m.sample", []
    for place in places:
        been.append(here)
        here = way(at(here), place)["next"]["href"]
        assert query(here)["after"] == [place]
    for before in reversed(been):
        here = way(at(here), None)["previous"]["href"]
        assert query(here) == query(before)
    assert way(at(here), None) == {}


def test_what_is_remembered_of_a_long_way_has_an_end() -> None:
    here = "/messages"
    for number in range(3 * MOST):
        here = way(at(here), number + 1, "before")["next"]["href"]
    assert len(here) < 20 * MOST
    for _ in range(MOST + 1):
        here = way(at(here), 1, "before")["previous"]["href"]
    assert here == "/messages"


def test_a_list_of_one_page_leads_nowhere() -> None:
    assert way(at("/bulk"), None) == way(at("/bulk"), "") == {}
