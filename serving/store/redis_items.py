"""What was said of items since the bundle, in Redis: the rules of `serving/store/items.py`, without a lock.

What a change comes to is worked out here, from what is stored, and stored only if no other change came in between;
otherwise it is worked out again. So patches of two replicas cannot undo each other.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from recsys.errors import StoreError
from serving.store.item import Body, ItemChange, ItemOutcome, StoredItem, Written
from serving.store.redis_row import decode, encode
from serving.store.redis_script import CHANGE_ITEMS, ITEMS_SINCE, Ask

_TRIES = 100
_log = logging.getLogger("attune.store")
Stored = dict[str, tuple[Written, Body]]


async def write(ask: Ask, prefix: str, changes: Sequence[ItemChange], *, at: int) -> list[ItemOutcome]:
    """Make changes in order, all or none; what came of each."""
    names = list(dict.fromkeys(change.item_id for change in changes))
    if not names:
        return []
    for _ in range(_TRIES):
        revision, texts = await asyncio.gather(
            ask("GET", f"{prefix}revision"), ask("HMGET", f"{prefix}items", *names)
        )  # in this order: what changes in between makes the revision a past one
        known = {name: _stored(text) for name, text in zip(names, texts, strict=True) if text is not None}
        outcomes, last, written = _applied(changes, known, int(revision or 0))
        flat = [part for name, one in written.items() for part in (name, one, encode([at, *known[name]]))]
        if await CHANGE_ITEMS.run(ask, prefix, int(revision or 0), last, *flat):
            return outcomes
    raise StoreError(f"others changed items {_TRIES} times meanwhile; try again")


async def since(ask: Ask, prefix: str, revision: int, *, limit: int) -> list[StoredItem]:
    """The `limit` items that changed first after a revision, in the order of their last change; all from the beginning
    where the server never came to that revision, because it lost changes."""
    found, texts, anew = await ITEMS_SINCE.run(ask, prefix, revision, limit)
    if anew and texts:
        _log.error("the store lost changes of items up to revision %d; what it has is taken over again", revision)
    items = zip(found[::2], found[1::2], map(_stored, texts), strict=True)
    return [StoredItem(name.decode(), int(number), *stored) for name, number, stored in items]


def _stored(text: bytes) -> tuple[Written, Body]:
    _, written, body = decode(text.decode())
    return Written(written), body


def _applied(
    changes: Sequence[ItemChange], known: Stored, revision: int
) -> tuple[list[ItemOutcome], int, Mapping[str, int]]:
    """What comes of each change, the last revision given and that of each item; `known` is then as is to be stored."""
    outcomes, given = [], {}
    for change in changes:
        outcome, stored = change.applied(known.get(change.item_id))
        if stored is not None:
            revision += 1
            known[change.item_id], given[change.item_id] = stored, revision
        outcomes.append(outcome)
    return outcomes, revision, given
