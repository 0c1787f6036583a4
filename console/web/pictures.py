"""Pictures: the screenshots that attempts have left, opened for those who may see what cases hold."""

import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from casehand.bots.evidence import read_evidence
from casehand.console.desk import Desk
from casehand.console.rights import Right
from casehand.console.web.page import page
from casehand.console.web.site import Site

_NAME = re.compile(r"[0-9]{2,}-[a-z0-9-]+\.jpg")


def picture(request: Request) -> Response:
    """Show one screenshot."""
    site: Site = request.app.state.site
    desk: Desk = request.state.desk
    case, attempt, name = (request.path_params[part] for part in ("case", "attempt", "file"))
    line = desk.find(case)
    if line.id != case or not desk.may(Right.SEE_CASES, line.workflow) or not is_picture(name):
        raise HTTPException(404)
    try:
        content = read_evidence(picture_path(site, case, attempt, name), site.ledger.key_of(case).open)
    except OSError:
        raise HTTPException(404) from None
    return Response(content, media_type="image/jpeg")


def is_picture(name: object) -> bool:
    """Whether a file of the evidence is a screenshot."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def picture_path(site: Site, case: str, attempt: int, name: str) -> Path:
    """Where a screenshot is kept."""
    return site.settings.evidence / case / str(attempt) / name


routes = [page("/pictures/{case}/{attempt:int}/{file}", picture, right=Right.SEE_CASES)]
