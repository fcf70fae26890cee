"""The gate that every request passes first: who asks, how often, for what; and what browsers need to know.

Plain ASGI: it costs a request some ten microseconds. Nothing of a refused request is read or worked on.
"""

import math
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.envelope import path_of
from serving.api.problem import Problem
from serving.security.caller import Caller, caller_in, enter
from serving.security.guard import Guard
from serving.security.keys import CHALLENGE
from serving.security.policy import Headers
from serving.security.scope import Scope as KeyScope
from serving.security.table import Needed, RouteTable

_ALWAYS_OPEN = ("/docs", "/redoc", "/openapi.json")
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, PUT",
    "access-control-allow-headers": "authorization, content-type, traceparent, x-deadline-ms, x-request-id",
    "access-control-max-age": "600",
    "vary": "origin",
}
"""What pages may send, for ten minutes without asking again. Cookies are never among it: nothing here reads one, and
`access-control-allow-credentials` is never said."""
_EXPOSED = [
    (b"access-control-expose-headers", b"retry-after, x-request-id"),
    (b"vary", b"origin"),
]


class Gate:
    """Lets through who may ask for it (RFC 6750), not too often (429); answers preflights of pages (Fetch standard).

    Args:
        app: what lies behind.
        guard: recognises callers.
        describe: the OpenAPI document of what lies behind; asked once, by the first request.
    """

    def __init__(self, app: ASGIApp, *, guard: Guard, describe: Callable[[], dict[str, Any]]) -> None:
        self.app = app
        self._guard = guard
        self._describe = describe
        self._table: RouteTable | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or say why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        page = headers.get(b"origin")
        if page is None:
            await self._pass(scope, receive, send, headers)
        elif scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await self._preflight(page.decode("latin-1"))(scope, receive, send)
        else:
            await self._pass(scope, receive, self._told(page, scope, send), headers)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        try:
            enter(scope, self._admitted(scope, headers))
        except Problem as refusal:
            await refusal.response()(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _admitted(self, scope: Scope, headers: Headers) -> Caller:
        if self._table is None:
            security = self._guard.security
            self._table = RouteTable(
                self._describe(), open_paths=(*security.open_paths, *(_ALWAYS_OPEN if security.documentation else ()))
            )
        needed = self._table.needed(scope["method"], path_of(scope))
        is_open = needed is not None and not needed
        caller = self._guard.glimpsed(headers) if is_open else self._guard.recognised(headers)
        if caller.bucket is not None and (wait_s := caller.bucket.take()):
            raise Problem(
                429,
                f"this key may send {caller.bucket.rate_per_s:g} requests a second to a replica, "
                f"{caller.bucket.burst} at once; ask again in {wait_s:.2f} s",
                kind="too-many-requests",
                headers={"retry-after": str(math.ceil(wait_s))},
            )
        _insist(caller, needed)
        return caller

    def _preflight(self, page: str) -> Response:
        if not self._guard.lets(page):
            return Problem(403, "no key may be used from that page", kind="wrong-origin").response()
        return Response(status_code=204, headers={"access-control-allow-origin": page, **_PREFLIGHT})

    def _told(self, page: bytes, scope: Scope, send: Send) -> Send:
        """Let the page read the answer, where its caller may be used there; before one is known, where any may."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and self._guard.lets(page.decode("latin-1"), caller_in(scope)):
                allowed = (b"access-control-allow-origin", page)
                message["headers"] = [*message.get("headers", ()), allowed, *_EXPOSED]
            await send(message)

        return told


def _insist(caller: Caller, needed: Needed | None) -> None:
    if needed is None:
        if not caller.may(KeyScope.ADMIN):
            raise Problem(404, "there is nothing here that this key opens; see /docs for what there is")
        return
    missing = sorted(scope for scope in needed if not caller.may(scope))
    if missing:
        raise Problem(
            403,
            f"this key lacks the scope {' and '.join(missing)}",
            kind="missing-scope",
            headers={
                "www-authenticate": f'{CHALLENGE["www-authenticate"]}, error="insufficient_scope", '
                f'scope="{" ".join(missing)}"'
            },
        )
