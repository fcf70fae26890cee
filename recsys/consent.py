"""What shoppers agreed to: which statement counts, and what it allows.

An event that says `consent` is a statement: the shopper agrees to the purposes it names, and to no other. An event of
type `consent` does nothing else. What a shopper said last holds, backwards too; of one instant they agreed to what all
statements name. An event with both ids speaks for the user and for the visitor.

**When a visitor becomes a user and the two said different things, the stricter wins**: a purpose is agreed to where
both agree. That holds until the user says something after the sign-in; only a statement that names the user can loosen
it. Of a visitor who is somebody else's by now, what they say since does not count for the user before.

The purposes are the shop's own names. The two that Attune acts upon are *personalisation* (answers may use what is
known of the shopper) and *training* (models may learn from their events); settings say how the shop calls them.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from recsys.errors import ConfigError

Default = Literal["granted", "denied"]
_DEFAULTS = {"granted": True, "denied": False}


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody said last: when, in microseconds UTC, and the purposes agreed to."""

    at: int
    purposes: frozenset[str]


@dataclass(frozen=True, slots=True)
class OfVisitor:
    """What a visitor said last who is or was linked to a user, and the instants at which the link began and ended."""

    said: Statement
    linked_at: int
    ended_at: int


def merged(user: Statement | None, visitors: Iterable[OfVisitor] = ()) -> frozenset[str] | None:
    """What a shopper agrees to, by the rule above; None where nobody ever said anything."""
    counted = [] if user is None else [user.purposes]
    for visitor in visitors:
        is_anothers = visitor.said.at >= visitor.ended_at
        is_settled = user is not None and user.at > max(visitor.said.at, visitor.linked_at)
        if not is_anothers and not is_settled:
            counted.append(visitor.said.purposes)
    return frozenset.intersection(*counted) if counted else None


@dataclass(frozen=True, slots=True)
class Rule:
    """Who agrees to one purpose.

    Attributes:
        names: what the shop calls the purpose; agreeing to any of them will do.
        default: what is taken for the answer of shoppers who never said anything: granted or denied.

    Raises:
        ConfigError: another default, or no name.
    """

    names: frozenset[str]
    default: Default = "granted"

    def __post_init__(self) -> None:
        if self.default not in _DEFAULTS:
            raise ConfigError(f"consent.default={self.default} is not known; choose one of {', '.join(_DEFAULTS)}")
        if not self.names:
            raise ConfigError("consent: a purpose without any name could never be agreed to; name it")

    def allows(self, agreed: Collection[str] | None) -> bool:
        """Whether a shopper agrees to it, who said this or (None) nothing."""
        return _DEFAULTS[self.default] if agreed is None else not self.names.isdisjoint(agreed)


@dataclass(frozen=True, slots=True)
class Rules:
    """The two purposes that something depends on."""

    personalisation: Rule = Rule(frozenset({"personalisation"}))
    training: Rule = Rule(frozenset({"training"}))

    @classmethod
    def of(
        cls,
        *,
        personalisation: Collection[str] = ("personalisation",),
        training: Collection[str] = ("training",),
        default: Default = "granted",
    ) -> "Rules":
        """From settings: what the shop calls each of them, and what counts where nobody said anything."""
        return cls(Rule(frozenset(personalisation), default), Rule(frozenset(training), default))
