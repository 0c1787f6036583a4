"""Evidence: pictures and traces, decrypted as they are asked for, and Playwright's own viewer of traces.

Nothing of it stays in a cache. The viewer's files come from the Playwright that is installed. It reads a trace in a
service worker, which asks for it with the session of whoever looks; both may reach nothing but these pages.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

import playwright
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from casehand.bots.evidence import read_evidence
from casehand.console.desk import Desk, NotAllowed
from casehand.console.rights import Right
from casehand.console.web.page import page
from casehand.console.web.rendering import render
from casehand.console.web.story import step_in_words
from casehand.exceptions import CasehandError
from casehand.queue.cases import CaseLine, CaseStory, story_of

KINDS = {".jpg": "image/jpeg", ".zip": "application/zip"}
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\.(jpg|zip)")
FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

VIEWER = Path(playwright.__file__).parent / "driver/package/lib/vite/traceViewer"
VIEWER_PATH = "/trace-viewer"
LEFT_OUT = "uiMode"
"""Another page of Playwright's, which runs tests."""
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def evidence_file(request: Request) -> Response:
    """One picture or trace."""
    line, attempt, name = _asked(request)
    content = _read(request, line, attempt, name)
    return Response(
        content,
        media_type=KINDS[Path(name).suffix],
        headers={"content-security-policy": FILE_POLICY, "cache-control": "no-store"},
    )


def show_picture(request: Request) -> Response:
    """One picture, large, on a page of its own."""
    line, attempt, name = _asked(request)
    if not name.endswith(".jpg") or name not in kept_of(request, line.id).get(attempt, []):
        raise HTTPException(404)
    story = story_of(request.state.desk.ledger, line)
    return render(
        request,
        "cases/picture.html",
        line=line,
        attempt=attempt,
        name=name,
        title=_title(story, attempt, name),
    )


class _Viewer(StaticFiles):
    """The viewer's files, with the policy that they need and nothing more."""

    def __init__(self) -> None:
        super().__init__(directory=VIEWER, html=False, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path.startswith(LEFT_OUT):
            raise HTTPException(404)
        answer = await super().get_response(path, scope)
        answer.headers["content-security-policy"] = viewer_policy()
        # The viewer shows its pages of a trace in frames of its own.
        answer.headers["x-frame-options"] = "SAMEORIGIN"
        answer.headers["cache-control"] = "no-cache"
        return answer


routes = [
    page("/evidence/{case}/{attempt:int}/{file}", evidence_file, right=Right.SEE_CASES),
    page("/evidence/{case}/{attempt:int}/{file}/large", show_picture, right=Right.SEE_CASES),
    Mount(VIEWER_PATH, _Viewer(), name="trace_viewer"),
]


def evidence_path(case: str, attempt: int, name: str) -> str:
    """Where a picture or a trace is."""
    return f"/evidence/{case}/{attempt}/{name}"


def viewer_path(case: str, attempt: int, name: str) -> str:
    """Where a trace is opened in the viewer."""
    return f"{VIEWER_PATH}/index.html?trace={quote(evidence_path(case, attempt, name), safe='')}"


def kept_of(request: Request, case: str) -> dict[int, list[str]]:
    """The names of a case's evidence files that are on this machine, by attempt."""
    kept: dict[int, list[str]] = {}
    for file in sorted((request.app.state.site.settings.evidence / case).glob("[0-9]*/[0-9]*")):
        if NAME.fullmatch(file.name) and file.parent.name.isdecimal():
            kept.setdefault(int(file.parent.name), []).append(file.name)
    return kept


@cache
def viewer_policy() -> str:
    """What the viewer may do: run its own scripts, read from these pages, and frame the pages of a trace.

    It draws by styles in its elements, makes pictures of a trace by its script, and shows an empty frame as data.
    """
    page_text = (VIEWER / "index.html").read_text()
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in INLINE.findall(page_text))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {hashes}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self'",
            "font-src 'self'",
            "connect-src 'self'",
            "worker-src 'self'",
            "manifest-src 'self'",
            "frame-src 'self' data:",
            "frame-ancestors 'self'",
            "form-action 'none'",
            "base-uri 'none'",
        )
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _asked(request: Request) -> tuple[CaseLine, int, str]:
    """The case, the attempt and the file that are asked for, when this person may see what the case holds."""
    desk: Desk = request.state.desk
    line = desk.find(request.path_params["case"])
    if not desk.may(Right.SEE_CASES, line.workflow):
        raise NotAllowed(Right.SEE_CASES, line.workflow)
    name = request.path_params["file"]
    if line.id != request.path_params["case"] or not NAME.fullmatch(name):
        raise HTTPException(404)
    return line, request.path_params["attempt"], name


def _read(request: Request, line: CaseLine, attempt: int, name: str) -> bytes:
    path = request.app.state.site.settings.evidence / line.id / str(attempt) / name
    key = request.state.desk.ledger.key_of(line.id)
    try:
        return read_evidence(path, key.open)
    except (OSError, CasehandError):
        # It is kept where the attempt ran; or it was altered, and then it is no evidence.
        raise HTTPException(404) from None


def _title(story: CaseStory, attempt: int, name: str) -> str:
    steps = [step for one in story.attempts if one.number == attempt for step in one.steps]
    for step in steps:
        if step.get("evidence") == name:
            return step_in_words(str(step["name"]))
    return "A picture of the system"
