"""How far the export of a store has come: a note in the store, so that every replica on every machine can tell."""

import json
from dataclasses import asdict, dataclass

from recsys.clock import SECOND
from serving.store.protocol import Note, OnlineStore

NAME = "export"
"""Name of the note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the exporter says of itself after every round.

    Attributes:
        folder: where the files go, with the name of the machine.
        number: of the last event in a file.
        events: how many events went into files, of erased shoppers too.
        slates, slate_number: likewise of slates.
        complete_at: whatever was acknowledged before this instant is in a file; microseconds UTC.
        told_at: when this was said.
        trouble: why the latest round failed; None where it did not.
        failed_at: when a round failed last; None where none ever did.
        failure: why it did.
    """

    folder: str
    number: int = 0
    events: int = 0
    slates: int = 0
    slate_number: int = 0
    complete_at: int
    told_at: int
    trouble: str | None = None
    failed_at: int | None = None
    failure: str | None = None

    def lag(self, last: int, *, now: int) -> tuple[int, float]:
        """How many events of a store whose `last` one has this number are in no file, and for how many seconds at most
        the oldest of them has been waiting. Numbers of erased events count, too."""
        waiting = max(last - self.number, 0)
        return waiting, (now - self.complete_at) / SECOND if waiting else 0.0


async def read_progress(store: OnlineStore) -> Progress | None:
    """What was said last; None where nothing was ever exported in the background."""
    note = await store.note(NAME)
    return None if note is None else Progress(**json.loads(note.value))


async def write_progress(store: OnlineStore, progress: Progress) -> None:
    """Say it."""
    await store.write_note(NAME, Note(value=json.dumps(asdict(progress)), told_at=progress.told_at))
