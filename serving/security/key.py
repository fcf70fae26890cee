"""One API key: what is kept of it, and how it is made.

A key reads `sk_ID_SECRET` (for servers) or `pk_ID_SECRET` (publishable: it may stand in a page). The id is no secret;
it names the key in lists and logs. The secret is 256 random bits, so the hash that is kept needs to be neither slow nor
salted: slow hashes buy time where people chose the secret and few guesses lead to it, and nobody guesses one of 2^256,
however fast. (NIST SP 800-63B, section 5.1.2.2, asks for a slow one below 112 bits:
https://pages.nist.gov/800-63-3/sp800-63b.html.) A fast one costs a request half a microsecond.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from recsys.clock import DAY
from recsys.errors import ConfigError
from serving.security.scope import PUBLISHABLE, Scope

DEVELOPMENT_LASTS = 7 * DAY
_ID_BYTES, _SECRET_BYTES = 6, 32
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")


class Kind(StrEnum):
    """Where a key may be: on servers only, or in everybody's hands."""

    SECRET = "sk"
    PUBLISHABLE = "pk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is kept of a key; instants in microseconds UTC.

    `ends_at` is when it stops being accepted (None: never), whether it ran out, was replaced or revoked. `origins` are
    the pages that may use a publishable key. `names_users` lets a publishable key speak of known users, not of
    visitors only. `rate_per_s` and `burst` stand in for what the settings say. A `development` key opens servers on
    loopback only.
    """

    id: str
    name: str
    kind: Kind
    scopes: frozenset[Scope]
    digest: str
    created_at: int
    ends_at: int | None = None
    origins: tuple[str, ...] = ()
    names_users: bool = True
    rate_per_s: float | None = None
    burst: int | None = None
    development: bool = False

    def __post_init__(self) -> None:
        if not self.scopes:
            raise ConfigError(f"a key needs at least one scope of {', '.join(Scope)}")
        if self.kind is Kind.PUBLISHABLE and (more := self.scopes - PUBLISHABLE):
            raise ConfigError(
                f"a publishable key is in everybody's hands and may not have {', '.join(sorted(more))}; "
                f"leave it to {' and '.join(sorted(PUBLISHABLE))}, or make a secret key"
            )
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"the name {self.name[:64]!r} of the key must be 1 to 64 characters on one line")
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"the origin {origin!r} must be scheme, host and port if any, such as https://shop.example: "
                    "in lower case, without a path, and no wildcard"
                )
        if (self.rate_per_s is not None and self.rate_per_s <= 0) or (self.burst is not None and self.burst < 1):
            raise ConfigError(f"rate_per_s={self.rate_per_s}, burst={self.burst} would let nothing through")

    def lives(self, now: int) -> bool:
        """Whether it is accepted at an instant."""
        return self.ends_at is None or now < self.ends_at


def digest_of(text: str) -> str:
    """What is kept of a key's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def draw(kind: Kind, *, random: Callable[[int], str] = secrets.token_hex) -> tuple[str, str]:
    """The id and the whole text of a new key."""
    name = random(_ID_BYTES)
    return name, f"{kind}_{name}_{random(_SECRET_BYTES)}"


def development_key(now: int) -> tuple[Key, str]:
    """A key for everything, for a week, on loopback; and its text."""
    name, text = draw(Kind.SECRET)
    key = Key(
        id=name,
        name="development",
        kind=Kind.SECRET,
        scopes=frozenset({Scope.ADMIN}),
        digest=digest_of(text),
        created_at=now,
        ends_at=now + DEVELOPMENT_LASTS,
        development=True,
    )
    return key, text
