"""Asking the registry which release is wanted, and telling everybody at the store."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Protocol

from recsys.clock import Clock, to_datetime
from recsys.errors import ReleaseError, StoreError
from serving.following import REGISTRY, RELEASE
from serving.store.protocol import Note, OnlineStore

_log = logging.getLogger("attune.follow")


class Wanted(Protocol):
    """What this needs of `serving.release.Release`."""

    def resolve(self) -> Path:
        """The wanted bundle's folder; ReleaseError if nobody can say."""
        ...


async def tell(release: Wanted, store: OnlineStore, clock: Clock) -> Path | None:
    """Ask once and write down what came of it; the folder, or None where the registry did not say."""
    now = clock.now()
    try:
        folder = await asyncio.to_thread(release.resolve)
    except ReleaseError as failure:
        before = await store.note(REGISTRY)
        if before is None or not before.value.startswith(_SILENT):
            _log.error("the registry does not say which release is wanted, the running one goes on: %s", failure)
            said = f"{_SILENT} since {to_datetime(now).isoformat(timespec='seconds')}: {failure}"
            await store.write_note(REGISTRY, Note(value=said, told_at=now))
        return None
    wanted = await store.note(RELEASE)
    if wanted is None or wanted.value != str(folder):
        await store.write_note(RELEASE, Note(value=str(folder), told_at=now))
    said = f"asked at {to_datetime(now).isoformat(timespec='seconds')}"
    await store.write_note(REGISTRY, Note(value=said, told_at=now))
    return folder


async def follow(release: Wanted, store: OnlineStore, clock: Clock, *, every_s: float, stop: threading.Event) -> None:
    """Ask every so often until told to stop; a store that cannot be written is tried again."""
    while not await asyncio.to_thread(stop.wait, every_s):
        try:
            await tell(release, store, clock)
        except StoreError as failure:
            _log.error("the wanted release cannot be told: %s", failure)


_SILENT = "silent"
