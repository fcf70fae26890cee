"""One request: its id, in the answer's header, in every line of the log and in problem bodies; and how long it took.

Plain ASGI, because every request pays for it.
"""

import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.watching.meter import Meter

HEADER = b"x-request-id"
CURRENT: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered; None outside of one."""
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_GONE = 499
_ELSEWHERE = "unrouted"


@contextmanager
def within(request_id: str | None) -> Iterator[None]:
    """What is logged here belongs to that request; for threads, which do not know whom they work for."""
    token = CURRENT.set(request_id)
    try:
        yield
    finally:
        CURRENT.reset(token)


class Requests:
    """The outermost layer of the application.

    An `x-request-id` of up to 128 letters, digits, dots, underscores and dashes is taken over, so that a shop can
    follow one click through its systems; anything else is replaced. `failed` makes the answer to what nobody expected.
    """

    def __init__(
        self, app: ASGIApp, *, meter: Meter, failed: Callable[[Request, Exception], Awaitable[Response]]
    ) -> None:
        self.app = app
        self._meter = meter
        self._failed = failed
        self._routes: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its id."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _asked(scope) or uuid.uuid4().hex
        said = (HEADER, request_id.encode())
        status = 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), said]
            await send(message)

        token = CURRENT.set(request_id)
        self._meter.begins()
        try:
            await self.app(scope, receive, named)
        except Exception as failure:
            if status:
                raise
            answer = await self._failed(Request(scope), failure)
            await answer(scope, receive, named)
        finally:
            CURRENT.reset(token)
            route = self._route(scope)
            self._meter.ends(scope["method"], route, status or _GONE, time.perf_counter() - started)

    def _route(self, scope: Scope) -> str:
        """The route's pattern, never the path, which may hold ids. Of a request that was refused before it was routed,
        the path if it is that of a route without parts to fill in."""
        route: str | None = getattr(scope.get("route"), "path_format", None)
        if route is None:
            path: str = scope["path"]
            return path if path in self._routes else _ELSEWHERE
        if "{" not in route:
            self._routes.add(route)
        return route


def _asked(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == HEADER:
            return value.decode() if _SANE.fullmatch(value) else None
    return None
