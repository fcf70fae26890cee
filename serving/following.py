"""Following the wanted release: loaded and tried out beside the running one, swapped in between two questions.

Which release is wanted stands as a note in the store, so every replica finds it, whatever became of the registry since.
The one before stays in memory: going back to it takes no loading. A release that cannot be read or does not answer is
refused, the running one goes on, and readiness says so.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from recsys.errors import EncoderError, OverloadError, RecsysError, StoreError
from serving.store.protocol import Note, OnlineStore

RELEASE = "release"
"""Name of the note that holds the folder of the wanted bundle."""
REGISTRY = "registry"
"""Name of the note that says how the registry was when it was last asked."""
_log = logging.getLogger("attune.following")


class Following:
    """Looks for another wanted release every so often and has it taken over; one per replica.

    Args:
        store: where the note is.
        running: the folder of the release that runs.
        take_over: brings the release of a folder into service; RecsysError if it is no good.
        every_s: how often the note is read.
    """

    def __init__(
        self, store: OnlineStore, *, running: Path, take_over: Callable[[Path], Awaitable[None]], every_s: float = 1.0
    ) -> None:
        self._store = store
        self._take_over = take_over
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self._refused: Path | None = None
        self.running = running
        self.trouble: str | None = None

    async def open(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Take over the wanted release, if it is another one; what was refused is not tried again until it changes."""
        note = await self._store.note(RELEASE)
        wanted = None if note is None else Path(note.value)
        if wanted is None or wanted == self.running or wanted == self._refused:
            return
        try:
            await self._take_over(wanted)
        except (StoreError, OverloadError, EncoderError) as failure:  # nothing of the release's own
            self.trouble = f"release {wanted.name} is tried again: {failure}"
            _log.warning("%s; %s goes on", self.trouble, self.running)
        except RecsysError as failure:
            self._refused, self.trouble = wanted, f"release {wanted.name} was refused: {failure}"
            _log.error("%s; %s goes on", self.trouble, self.running)
        else:
            self.running, self._refused, self.trouble = wanted, None, None
            _log.info("release %s answers from now on", wanted)

    async def registry(self) -> Note | None:
        """How the registry was when it was last asked; None where nobody asks one."""
        return await self._store.note(REGISTRY)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            with contextlib.suppress(RecsysError):  # told by everything else that needs the store
                await self.look()
