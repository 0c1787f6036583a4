"""The way through a list that is read page by page: onward, and back page by page as one came.

A page begins behind a row, whose name is in the address; the address also keeps behind which rows the pages before
began. So no list has to be read backwards.
"""

from typing import Any

from starlette.requests import Request

from casehand.console.web.address import address

VIA = "via"
MOST = 50
"""Pages that are remembered; from further on the way back is the beginning."""

Links = dict[str, dict[str, str]]


def way(request: Request, behind: object | None, name: str = "after", **changes: Any) -> Links:
    """Links to the page before and the next, as GOV.UK's pagination takes them.

    `behind` is the row behind which the next page begins, None at the end; `name` what the address calls it.
    """
    here, past = request.query_params.get(name), _past(request)
    links: Links = {}
    if here:
        back = {name: past[-1] if past else None, VIA: _kept(past[:-1])}
        links["previous"] = {"href": address(request, **changes, **back), "text": "Previous page"}
    if behind is not None and behind != "":
        onward = {name: behind, VIA: _kept([*past, here] if here else [])}
        links["next"] = {"href": address(request, **changes, **onward), "text": "Next page"}
    return links


def _past(request: Request) -> list[str]:
    return [one for one in request.query_params.get(VIA, "").split("\n") if one]


def _kept(past: list[str]) -> str | None:
    return "\n".join(past[-MOST:]) or None
