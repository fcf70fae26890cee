"""Recognising who asks: keeps a replica's keys as fresh as the store's, and a bucket for each of them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from recsys.clock import Clock, SystemClock
from recsys.errors import RecsysError
from serving.api.problem import Problem
from serving.security.bucket import TokenBucket
from serving.security.caller import Caller
from serving.security.key import Key, Kind
from serving.security.keyring import NOTE, Keyring, parsed
from serving.security.keys import CHALLENGE
from serving.security.policy import Headers, Security
from serving.store.protocol import OnlineStore

_log = logging.getLogger("attune.security")
_OUTSIDER = Caller(name="outsider", scopes=frozenset())


class Guard:
    """Knows the living keys between `open` and `close`; `async with` does both. One per replica.

    While the store cannot be read the keys stay as they were read last: answers go on, revocations wait.

    Args:
        security: what is asked of strangers, and the settings.
        store: where the keys are noted; somebody else opens and closes it.
        on_loopback: whether the server listens on loopback only, so that development keys count.
        clock: real time, by which keys end; never a shop's replayed one.
        every_s: how often the note is read.
        ticks: seconds from anywhere, for the buckets.
    """

    def __init__(
        self,
        security: Security,
        store: OnlineStore,
        *,
        on_loopback: bool = False,
        clock: Clock | None = None,
        every_s: float = 1.0,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.security = security
        self._store = store
        self._on_loopback = on_loopback
        self._clock = clock or SystemClock()
        self._every_s = every_s
        self._ticks = ticks
        self._noted: str | None = None
        self._keys = Keyring()
        self._callers: dict[str, Caller] = {}
        self._pages: frozenset[str] = security.origins
        self._following: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read the keys and go on reading them; StoreError if they cannot be read now."""
        await self.look()
        if not self._callers:
            _log.warning("%s", self.security.words())
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop reading."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def look(self) -> None:
        """Take over what the note says now."""
        note = await self._store.note(NOTE)
        if note is not None and note.value != self._noted:
            self._take(parsed(note.value))
            self._noted = note.value

    def recognised(self, headers: Headers) -> Caller:
        """Who asks; a Problem (401, 403) where nobody may who asks like this."""
        shown = headers.get(b"authorization")
        if shown is None:
            return self.security.stranger(headers)
        scheme, _, text = shown.partition(b" ")
        found = self._keys.find(text.strip().decode("latin-1"), now=self._clock.now())
        if found is None or scheme.lower() != b"bearer":
            raise Problem(
                401,
                "the API key that was sent is not known here, or not any more; recsys-keys lists those that are",
                kind="unknown-key",
                headers={"www-authenticate": f'{CHALLENGE["www-authenticate"]}, error="invalid_token"'},
            )
        caller = self._callers[found.id]
        origin = headers.get(b"origin")
        if caller.publishable and origin is not None and not self.lets(origin.decode("latin-1"), caller):
            raise Problem(
                403,
                "this key may not be used from that page; add its origin: recsys-keys create=NAME origins=[...]",
                kind="wrong-origin",
            )
        return caller

    def glimpsed(self, headers: Headers) -> Caller:
        """Who asks for something that anybody may have: as `recognised`, but strangers are nobody in particular."""
        if b"authorization" in headers:
            return self.recognised(headers)
        try:
            return self.security.stranger(headers)
        except Problem:
            return _OUTSIDER

    def lets(self, origin: str, caller: Caller | None = None) -> bool:
        """Whether a page may ask as this caller; without one, as any."""
        if caller is not None and caller.publishable:
            return origin in caller.origins or self.security.page_here(origin)
        return self.security.page_here(origin) or (caller is None and origin in self._pages)

    def _take(self, keys: Keyring) -> None:
        accepted = keys.living(self._clock.now(), on_loopback=self._on_loopback)
        self._callers = {key.id: self._caller(key) for key in accepted}
        self._keys = Keyring(accepted)
        self._pages = self.security.origins.union(*(caller.origins for caller in self._callers.values()))

    def _caller(self, key: Key) -> Caller:
        publishable = key.kind is Kind.PUBLISHABLE
        return Caller(
            name=key.id,
            scopes=key.scopes,
            bucket=self._bucket(key),
            publishable=publishable,
            names_users=key.names_users or not publishable,
            origins=self.security.origins.union(key.origins) if publishable else frozenset(),
        )

    def _bucket(self, key: Key) -> TokenBucket | None:
        """The bucket that the key has already, if its size is the same; else a full one."""
        rate = self.security.rate_per_s if key.rate_per_s is None else key.rate_per_s
        burst = self.security.burst if key.burst is None else key.burst
        if rate is None:
            return None
        held = self._callers[key.id].bucket if key.id in self._callers else None
        same = held is not None and (held.rate_per_s, held.burst) == (rate, burst)
        return held if same else TokenBucket(rate, burst, ticks=self._ticks)

    async def _follow(self) -> None:
        in_trouble = False
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
                in_trouble = False
            except RecsysError as failure:
                if not in_trouble:
                    _log.error("the keys cannot be read, those known go on: %s", failure)
                in_trouble = True
