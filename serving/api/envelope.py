"""What surrounds a body: addresses and headers that nobody sends by accident are refused, and every answer tells
browsers and caches how to treat it.

Plain ASGI. Deeper in, a body is limited by `serving/api/limits.py` and its contents by the models.
"""

from collections.abc import Mapping
from itertools import chain

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.problem import Problem

MAX_HEADERS = 100
MAX_HEADER_BYTES = 12 * 1024
MAX_ADDRESS_BYTES = 4 * 1024
_JSON = (b"application/json", b"application/x-ndjson", b"application/merge-patch+json")
_BODIES = ("POST", "PUT", "PATCH")
_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
_PERSONAL = [*_ALWAYS, (b"cache-control", b"no-store"), (b"content-security-policy", b"default-src 'none'")]
"""Answers of the API are somebody's own, true for a moment, and nothing a browser should ever show as a page."""
_ADDED = {name for name, _ in _PERSONAL}
_OWN = ("/v1/", "/healthz", "/readyz")


class Envelope:
    """Answers 414, 415 and 431 itself, and adds the headers that every answer has and this one does not say itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on unless its envelope is refused."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        added = _PERSONAL if path_of(scope).startswith(_OWN) else _ALWAYS

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = message.get("headers", ())
                names = {name for name, _ in said}
                missing = added if _ADDED.isdisjoint(names) else [one for one in added if one[0] not in names]
                message["headers"] = [*said, *missing]
            await send(message)

        refusal = _refusal(scope)
        await (self.app if refusal is None else refusal.response())(scope, receive, marked)


def path_of(scope: Scope) -> str:
    """The path as routes know it, without the prefix under which the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _refusal(scope: Scope) -> Problem | None:
    pairs = scope["headers"]
    if len(pairs) > MAX_HEADERS or sum(map(len, chain.from_iterable(pairs))) > MAX_HEADER_BYTES:
        return Problem(
            431,
            f"send at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes together",
            kind="headers-too-large",
        )
    if len(scope["path"]) + len(scope.get("query_string", b"")) > MAX_ADDRESS_BYTES:
        return Problem(414, f"the address may have {MAX_ADDRESS_BYTES} bytes at most", kind="address-too-long")
    return _unreadable(dict(pairs)) if scope["method"] in _BODIES else None


def _unreadable(headers: Mapping[bytes, bytes]) -> Problem | None:
    """Refuses a body that says it is no JSON. One that says nothing is taken for JSON, so that short scripts stay
    short; a form, which any web page may send anywhere without being asked, is not."""
    said = headers.get(b"content-type")
    if said is not None and said not in _JSON and said.partition(b";")[0].strip().lower() not in _JSON:
        accepted = ", ".join(kind.decode() for kind in _JSON)
        return Problem(415, f"the body must be JSON; send it with a content-type of {accepted}", kind="not-json")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        return Problem(415, "send the body as it is, without a content-encoding", kind="encoded-body")
    return None
