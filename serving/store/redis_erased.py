"""What a replica knows of who is erased from Redis: nothing, until Redis refuses something that names them.

Redis says who is erased in the step in which it would have kept it, so an erasure and an event cannot pass each other.
As long as nobody is erased this costs nothing; afterwards two HMACs for each event.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from recsys.log.erasures import Kind, digest_of
from serving.store.erasure import IsErased

Said = TypeVar("Said")
Tell = Callable[[list[Said]], Awaitable[Any]]


class Sieve:
    """Tells who is erased, as far as Redis has said so; one per replica."""

    def __init__(self) -> None:
        self._key: str | None = None
        self._digests: set[str] = set()

    @property
    def knows(self) -> str:
        """What scripts are told: '1' where HMACs are given."""
        return "" if self._key is None else "1"

    def digests(self, user_id: str | None, anonymous_id: str | None) -> tuple[str, str]:
        """What scripts are told of a user and a visitor."""
        return self._digest("user", user_id), self._digest("anonymous", anonymous_id)

    def is_erased(self, kind: Kind, shopper_id: str | None) -> bool:
        """Whether Redis said so."""
        return bool(self._digests) and shopper_id is not None and self._digest(kind, shopper_id) in self._digests

    async def told(
        self, said: list[Said], *, left: Callable[[Said, IsErased], Said | None], tell: Tell[Said]
    ) -> tuple[list[bool], Any]:
        """Tell Redis what may be kept of everything that is said; which of it that was, and the reply."""
        while True:
            rest = [left(one, self.is_erased) for one in said]
            kept = [one for one in rest if one is not None]
            reply = await tell(kept) if kept else []
            if not (isinstance(reply, list) and reply[:1] == [b"erased"]):
                return [one is not None for one in rest], reply
            self._key = reply[1].decode()
            self._digests.update(digest.decode() for digest in reply[2:])

    def _digest(self, kind: Kind, shopper_id: str | None) -> str:
        return "" if self._key is None or shopper_id is None else digest_of(self._key, kind, shopper_id)
