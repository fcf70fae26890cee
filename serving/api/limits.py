"""What the service refuses before looking at it: bodies that are too large, and more work than it can finish.

Plain ASGI, because a request must not pay for wrappers it does not need.
"""

import asyncio
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.envelope import path_of
from serving.api.problem import Problem

MAX_BODY_BYTES = 1024 * 1024
BODY_TIMEOUT_S = 10.0


class BodyLimit:
    """Answers 413 as soon as a body is known to exceed `limit` bytes; the rest of it is never read. Paths in `larger`
    have limits of their own. Answers 408 when a body is not there after `timeout_s`, so that nobody holds a place among
    the running requests by sending slowly.

    While the body is being read the refusal is a `Problem`, which the application turns into its response.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int = MAX_BODY_BYTES,
        larger: Mapping[str, int] | None = None,
        timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        self.app = app
        self.limit = limit
        self.larger = dict(larger or {})
        self.timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what is read of its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.larger.get(path_of(scope), self.limit)
        if _declared(scope) > limit:
            await _too_large(limit).response()(scope, receive, send)
            return
        read, whole, deadline = 0, False, asyncio.get_running_loop().time() + self.timeout_s

        async def counted() -> Message:
            nonlocal read, whole
            if whole:  # what comes now is the end of the connection, which may be far off
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise self._late() from None
            whole = not message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > limit:
                raise _too_large(limit)
            return message

        await self.app(scope, counted, send)

    def _late(self) -> Problem:
        return Problem(
            408,
            f"the body was not there after {self.timeout_s:g} s; send it at once",
            kind="body-too-slow",
            headers={"connection": "close"},
        )


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        f"the body may hold {limit} bytes at most; send events in smaller batches",
        kind="body-too-large",
        headers={"connection": "close"},
    )


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


class Shedding:
    """Answers 503 at once when `limit` requests are being worked on, and calls `shed`; health checks, and who wants to
    know what is the matter, always pass."""

    def __init__(self, app: ASGIApp, *, limit: int, shed: Callable[[], None] = lambda: None) -> None:
        self.app = app
        self._shed = shed
        self.limit = limit
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on unless too many are on their way."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith("/v1/") or path.startswith("/v1/admin/"):
            await self.app(scope, receive, send)
            return
        if self._running >= self.limit:
            self._shed()
            problem = Problem(
                503,
                f"{self.limit} requests are being answered already; ask again in a second",
                kind="overloaded",
                headers={"retry-after": "1"},
            )
            await problem.response()(scope, receive, send)
            return
        self._running += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._running -= 1
