"""What it means that a shopper is erased: the rules that every store keeps to.

- Erased with a **user** are the visitors (anonymous ids) that any event, link or slate names together with them.
- A row (an event, a slate) goes if its user is erased, or if its visitor is and it names no user; so does whatever only
  says whose a visitor was. Another user's row stays and loses the visitor's id: of a visitor whom several users share,
  those keep what they did under their own names, and what nobody signed in for goes. That is the rule of the event log
  (`recsys/log/erasures.py`), so both hold the same afterwards.
- An erased id never comes back. The store knows it again by its HMAC: a **late** event of an erased shopper is
  acknowledged like a duplicate, so that nobody sends it again, and not kept; another user's event loses the visitor's
  id. Who wants to be known again needs a new id.
- Erasing again gives the first receipt again.

The receipt is `serving.store.protocol.Forgotten`. HMACs are pseudonyms, not anonymous: the key lies beside them, so
whoever holds the store can test guesses.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from recsys.event import Event, EventType
from recsys.log.erase import Named
from recsys.log.erasures import Erasures, Kind
from recsys.log.manifest import Erased
from serving.store.protocol import Exposure

_WHOSE = frozenset({EventType.LINK, EventType.UNLINK})
IsErased = Callable[[Kind, str | None], bool]
"""Whether an id of a kind is erased; never of None."""


@dataclass(frozen=True, slots=True)
class Sought:
    """The ids that an erasure is after."""

    users: frozenset[str]
    visitors: frozenset[str]

    @classmethod
    def of(cls, shopper: Named, visitors: frozenset[str]) -> "Sought":
        """A shopper, with the visitors to be erased with them."""
        if shopper.kind == "user":
            return cls(frozenset({shopper.id}), visitors)
        return cls(frozenset(), visitors | {shopper.id})

    def has(self, kind: Kind, shopper_id: str | None) -> bool:
        """Whether it is one of them."""
        return shopper_id in (self.users if kind == "user" else self.visitors)

    def entries(self, before: Erasures) -> tuple[Erased, ...]:
        """What is to be kept of them, beside what was erased before."""
        return before.adding("user", self.users).adding("anonymous", self.visitors).entries[len(before.entries) :]


def left_of(event: Event, is_erased: IsErased) -> Event | None:
    """What of an event may be kept: all of it (the very event), all but the visitor, or nothing."""
    if is_erased("user", event.user_id):
        return None
    if not is_erased("anonymous", event.anonymous_id):
        return event
    if event.user_id is None or event.type in _WHOSE:
        return None
    return replace(event, anonymous_id=None)


def unnamed(exposure: Exposure, is_erased: IsErased) -> Exposure:
    """A slate on its way to the log, without what names an erased shopper."""
    if is_erased("user", exposure.user_id):
        return replace(exposure, user_id=None, anonymous_id=None, session_id=None)
    if not is_erased("anonymous", exposure.anonymous_id):
        return exposure
    return replace(exposure, anonymous_id=None, session_id=exposure.session_id if exposure.user_id else None)
