"""What stands before the page's framework: which requests it answers, how large they are, and what a browser may load.

Gradio answers many more paths than this page needs; among them some that fetch addresses of a visitor's choice, or
start programs on uploads. Here is the list of those that it needs. And the browser is told to load nothing from
elsewhere, whatever the page's scripts want.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_API = "/gradio_api"
_PAGES = {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json"}
_CALLS = {
    f"{_API}/{name}"
    for name in (
        "app_id",
        "cancel",
        "info",
        "queue/data",
        "queue/join",
        "reset",
        "startup-events",
        "theme.css",
        "upload",
        "upload_progress",
    )
}
_BELOW = ("/assets/", "/static/", "/svelte/", f"{_API}/heartbeat/")
_FILES = f"{_API}/file="

POLICY = "; ".join(
    (
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Gradio's own scripts make functions of text
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


class Guard:
    """An ASGI application around another.

    Args:
        app: what answers.
        largest: bytes of a request's body, which must say its length (browsers do).
        hosts: names that a request may call this machine by, without a port; None takes any. A page of another host
            that leads its own name to this machine is thus refused.
    """

    def __init__(self, app: App, largest: int, hosts: frozenset[str] | None):
        self._app, self._largest, self._hosts = app, largest, hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, or refuse: 403 another host's name, 404 another path, 411 and 413 a body without bound."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page has no use for websockets
            return
        headers = dict(scope["headers"])
        status = self._refusal(scope["path"], headers)
        if status:
            await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b"refused\n"})
            return
        await self._app(scope, receive, _with_headers(send))

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> int:
        """The status of a refusal; 0 where there is none."""
        if self._hosts is not None and _host(headers) not in self._hosts:
            return 403
        if not is_needed(path):
            return 404
        if b"transfer-encoding" in headers:  # in pieces, nobody knows how many
            return 411
        length = headers.get(b"content-length", b"0")
        return 413 if not length.isdigit() or len(length) > 15 or int(length) > self._largest else 0


def is_needed(path: str) -> bool:
    """Whether the page needs this path."""
    if path.startswith(_FILES):
        return "://" not in path
    return path in _PAGES or path.rstrip("/") in _CALLS or path.startswith(_BELOW)


def _host(headers: dict[bytes, bytes]) -> str:
    """The name in `Host`, in small letters, without port."""
    text = headers.get(b"host", b"").decode("latin-1").lower()
    return text[: text.index("]") + 1] if text.startswith("[") and "]" in text else text.partition(":")[0]


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await send(message)

    return with_headers
