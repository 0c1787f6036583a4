"""The guard at the gate: what must be so of every request, and the headers that go with every answer."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from casehand.console.web.refusals import refusal
from casehand.console.web.settings import ConsoleSettings, is_loopback

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
"""With every answer that does not say otherwise itself: nothing of a case stays in a cache."""
HTTPS_HEADERS = {"strict-transport-security": "max-age=31536000"}
SAFE_METHODS = ("GET", "HEAD")


class Guard:
    """Stands before the application."""

    def __init__(self, app: Starlette, console: ConsoleSettings) -> None:
        self.app = app
        self._console = console
        self._headers = HEADERS | (HTTPS_HEADERS if console.is_https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = self._with_headers(send)
        scope["app"] = self.app
        headers = Headers(scope=scope)
        if not self._is_our_host(headers.get("host", "")):
            await refusal(Request(scope), 400, "This address is not the one that the pages are for.")(
                scope, receive, answer
            )
        elif not self._is_same_site(scope["method"], headers):
            await refusal(Request(scope), 403, "This was sent from another website, so it was not done.")(
                scope, receive, answer
            )
        else:
            await self.app(scope, receive, answer)

    def _is_our_host(self, host: str) -> bool:
        """Whether a request names us: another name that leads here is somebody's trick."""
        parts = urlsplit(f"//{host}")
        if host == urlsplit(self._console.address).netloc:
            return True
        return self._console.is_loopback and parts.hostname is not None and is_loopback(parts.hostname)

    def _is_same_site(self, method: str, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if method in SAFE_METHODS:
            # A link may lead here from elsewhere, but no other website may draw on us.
            return site in (None, "none", "same-origin") or headers.get("sec-fetch-mode") == "navigate"
        if site is not None:
            return site == "same-origin"
        # Browsers name the origin of what they send, if not its site where a connection is not encrypted.
        return self._is_our_origin(headers)

    def _is_our_origin(self, headers: Headers) -> bool:
        origin = urlsplit(headers.get("origin", ""))
        if headers.get("origin") == self._console.address:
            return True
        return origin.scheme == "http" and self._console.is_loopback and origin.netloc == headers.get("host")

    def _with_headers(self, send: Send) -> Callable[[Message], Awaitable[None]]:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        return answer
