"""All keys of one store, kept as one note there, so that every replica sees a new or revoked one within a second.

Notes know no transaction, so a change is written, given a moment and read back: of two people who change keys in the
same instant, the one who was overwritten notices and does it again.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterable
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from recsys.clock import Clock
from recsys.errors import ConfigError, StoreError
from serving.security.key import Key, digest_of
from serving.store.protocol import Note, OnlineStore

NOTE = "api-keys"
"""Name of the note that holds them."""
_NOBODYS = "0" * 64
_ATTEMPTS = 5
_KEYS = TypeAdapter(tuple[Key, ...])


class Keyring:
    """Keys by their ids; never changes."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys = tuple(keys)
        self._by_id = {key.id: key for key in self.keys}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyring) and self.keys == other.keys

    __hash__ = None  # type: ignore[assignment]

    def find(self, text: str, *, now: int) -> Key | None:
        """The key that somebody shows, if it is one and lives; takes as long for a wrong secret as for a right one."""
        parts = text.split("_", 2)
        key = self._by_id.get(parts[1]) if len(parts) == 3 else None
        same = hmac.compare_digest(digest_of(text), _NOBODYS if key is None else key.digest)
        return key if key is not None and same and key.lives(now) else None

    def named(self, said: str, *, now: int) -> Key:
        """The key of that id, or the only living one of that name; ConfigError if there is none."""
        if said in self._by_id:
            return self._by_id[said]
        found = [key for key in self.keys if key.name == said and key.lives(now)]
        if len(found) != 1:
            known = ", ".join(f"{key.id} ({key.name})" for key in self.keys) or "none"
            raise ConfigError(f"there is not exactly one key {said!r}; give an id. There are: {known}")
        return found[0]

    def with_key(self, key: Key) -> "Keyring":
        """The same and one more."""
        return self if key in self.keys else Keyring((*self.keys, key))

    def ending(self, name: str, at: int) -> "Keyring":
        """The same, and the key of that id ends at an instant, or when it would have before."""
        return Keyring(
            replace(key, ends_at=at if key.ends_at is None else min(at, key.ends_at)) if key.id == name else key
            for key in self.keys
        )

    def living(self, now: int, *, on_loopback: bool) -> list[Key]:
        """The keys that a server accepts at an instant; development keys only on loopback."""
        return [key for key in self.keys if key.lives(now) and (on_loopback or not key.development)]


def parsed(value: str) -> Keyring:
    """The keys of a note; StoreError if it is not one of ours."""
    try:
        return Keyring(_KEYS.validate_json(value))
    except (ValidationError, ConfigError):
        # The cause may quote what stands there; it is not told on.
        raise StoreError(f"the note {NOTE!r} of the store holds no list of keys; revoke and make them anew") from None


async def read(store: OnlineStore) -> Keyring:
    """All keys of an open store."""
    note = await store.note(NOTE)
    return Keyring() if note is None else parsed(note.value)


async def change(
    store: OnlineStore, clock: Clock, changed: Callable[[Keyring], Keyring], *, settles_s: float = 0.3
) -> Keyring:
    """Make a change (that can be made twice) and return what is kept; StoreError if others keep undoing it."""
    for _ in range(_ATTEMPTS):
        before = await read(store)
        after = changed(before)
        if after == before:
            return after
        await store.write_note(NOTE, Note(value=_KEYS.dump_json(after.keys).decode(), told_at=clock.now()))
        await asyncio.sleep(settles_s)
    raise StoreError("somebody else keeps changing the keys; look at the list and try again")
