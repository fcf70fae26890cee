"""A line to Redis: one connection on which many requests are under way at once.

Requests leave as they come and never wait for the replies to others; Redis answers in the order in which it was asked.
So concurrent requests are pipelined without any of them waiting for a batch, and one connection does for all of a
replica's reads. redis-py makes the connection (address, TLS, name and password); its pool would lend a connection to
one request at a time, and look after it at a price that is larger than the request's.

No request waits for long: not for a connection, not for a reply. One that waited too long takes the connection down,
with everything behind it, because replies can no longer be told apart. The next request makes a new connection; where
that just failed, requests are refused at once for a moment instead of each trying again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as TooLate

from recsys.errors import OverloadError
from serving.store.redis_script import Argument, Ask

AGAIN_AFTER_S = 0.25
"""How long a server that could not be reached is left alone."""
WAITING = 4096
"""How many requests may be under way on one connection."""


class Wire:
    """One live connection; once it has failed it stays so."""

    def __init__(self, connection: AbstractConnection, *, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._awaited: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._reading = asyncio.create_task(self._read())
        self.failure: Exception | None = None

    async def ask(self, *command: Argument) -> Any:
        """The reply to one command; ResponseError where Redis refuses it, OverloadError where too many are waiting,
        other errors where there is no reply."""
        if self.failure is not None:
            raise NotConnected(str(self.failure))
        if len(self._awaited) >= WAITING:
            raise OverloadError(f"{WAITING} requests are waiting for Redis already; try again in a moment")
        packed = pack_command(command)  # type: ignore[arg-type] # its stub allows one part only
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._awaited.append((self._loop.time() + self._timeout_s, reply))
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._look_at_the_time)
        try:
            await self._connection.send_packed_command(packed, check_health=False)
        except (RedisError, OSError) as failure:
            self._fail(failure)
        return await reply

    async def close(self) -> None:
        """Wait for the replies to what was asked, then hang up."""
        if self._awaited:
            await asyncio.wait([reply for _, reply in self._awaited])
        self._fail(NotConnected("the connection was closed"))
        await asyncio.wait([self._reading])

    def _look_at_the_time(self) -> None:
        """One timer for all that are waiting: the oldest is the first to be too late, also if nobody waits for it."""
        self._watch = None
        if not self._awaited:
            return
        deadline, _ = self._awaited[0]
        if self._loop.time() >= deadline:
            self._fail(TooLate(f"no reply within {self._timeout_s:g} s"))
        else:
            self._watch = self._loop.call_at(deadline, self._look_at_the_time)

    def _fail(self, failure: Exception) -> None:
        if self.failure is not None:
            return
        self.failure = failure
        while self._awaited:
            _, reply = self._awaited.popleft()
            if not reply.done():
                reply.set_exception(failure)
        if self._watch is not None:
            self._watch.cancel()
        self._reading.cancel()

    async def _read(self) -> None:
        try:
            while True:
                try:
                    answer = await self._connection.read_response(disconnect_on_error=False)
                except ResponseError as refusal:
                    answer = refusal
                _, reply = self._awaited.popleft()
                if reply.done():  # whoever asked has gone
                    continue
                if isinstance(answer, Exception):
                    reply.set_exception(answer)
                else:
                    reply.set_result(answer)
        except (RedisError, OSError) as failure:
            self._fail(failure)
        finally:
            await self._connection.disconnect(nowait=True)


class Line:
    """Always the same server, over one connection after another.

    Args:
        make: a new connection, not connected yet.
        greet: looks at a server that was just connected to, before anybody else may ask it anything; what it raises
            is raised to them.
        connect_timeout_s, timeout_s: how long to wait for a connection and for a reply.
    """

    def __init__(
        self,
        make: Callable[[], AbstractConnection],
        greet: Callable[[Ask], Awaitable[None]],
        *,
        connect_timeout_s: float,
        timeout_s: float,
    ) -> None:
        self._make = make
        self._greet = greet
        self._connect_timeout_s = connect_timeout_s
        self._timeout_s = timeout_s
        self._wire: Wire | None = None
        self._attempt: asyncio.Task[Wire] | None = None
        self._failed: tuple[float, BaseException] | None = None

    async def ask(self, *command: Argument) -> Any:
        """The reply to one command, over a new connection if the last one is gone."""
        wire = self._wire
        if wire is None or wire.failure is not None:
            wire = await self.connected()
        return await wire.ask(*command)

    async def connected(self) -> Wire:
        """A connection that works; whoever asks meanwhile waits for the same attempt to get one."""
        if self._wire is not None and self._wire.failure is None:
            return self._wire
        if self._attempt is None:
            if self._failed is not None and asyncio.get_running_loop().time() < self._failed[0] + AGAIN_AFTER_S:
                raise self._failed[1]
            self._attempt = asyncio.create_task(self._connect())
            self._attempt.add_done_callback(self._attempted)
        return await asyncio.shield(self._attempt)

    async def close(self) -> None:
        """Wait for what is under way, then hang up."""
        if self._attempt is not None:
            self._attempt.cancel()
        if self._wire is not None:
            await self._wire.close()
        self._wire = None

    async def _connect(self) -> Wire:
        connection = self._make()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await connection.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            raise TooLate(f"no connection within {self._connect_timeout_s:g} s") from None
        wire = Wire(connection, timeout_s=self._timeout_s)
        try:
            await self._greet(wire.ask)
        except BaseException:
            await wire.close()
            raise
        return wire

    def _attempted(self, attempt: asyncio.Task[Wire]) -> None:
        self._attempt = None
        if attempt.cancelled():
            return
        failure = attempt.exception()
        if failure is None:
            self._wire, self._failed = attempt.result(), None
        else:
            self._failed = (asyncio.get_running_loop().time(), failure)
