"""The address of a page: all that is looked for stands in it."""

from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request


def address(request: Request, **changes: Any) -> str:
    """The address of the present page with other values in its query; None takes one out.

    Whoever begins a list anew has not come by the pages before.
    """
    if "after" in changes or "before" in changes:
        changes = {"via": None, **changes}
    names = {**dict(request.query_params.multi_items()), **changes}
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    kept += [(name, names[name]) for name in changes if names[name] is not None]
    query = urlencode(kept)
    path = quote(request.scope["path"])
    return f"{path}?{query}" if query else path
