"""When a version of the model becomes the champion, and what is written down about it.

| alias | the version that |
|---|---|
| `champion` | serving answers with |
| `challenger` | was registered last and is not the champion (yet) |

Every change of the champion leaves tags on the version that came in: `promoted_at`, `promoted_by`, `promoted_because`,
`evidence` where there were figures, and `replaced`, the champions before it with the latest first. A rollback takes the
first of these and leaves it the rest, so that several rollbacks walk back, and never in a circle. The version that went
out by one keeps `rolled_back_at`, `rolled_back_by` and `rolled_back_because`; one that was found worse keeps
`refused_at`, `refused_by` and `refused_because`. As MLflow proposes, aliases say what a version is used for and tags
what became of it (https://mlflow.org/docs/latest/ml/model-registry/workflow/).
"""

import getpass
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from recsys.clock import Clock, SystemClock, to_datetime
from recsys.errors import ConfigError, ReleaseError

CHAMPION = "champion"
CHALLENGER = "challenger"
REPLACED = "replaced"
_REMEMBERED = 100


class Promotion(StrEnum):
    """When a version that was just registered becomes the champion without being compared.

    FIRST: where there is no champion yet. ALWAYS: at once, for demos and tries. NEVER: only `recsys-promote` decides.
    """

    FIRST = "first"
    ALWAYS = "always"
    NEVER = "never"

    @classmethod
    def of(cls, setting: str) -> "Promotion":
        """From the setting `promote`; ConfigError where there is none of that name."""
        try:
            return cls(setting)
        except ValueError as error:
            raise ConfigError(f"promote={setting} is not known; choose one of {', '.join(cls)}") from error

    def at_once(self, *, has_champion: bool) -> bool:
        """Whether the version becomes the champion as soon as it is registered."""
        return _AT_ONCE[self](has_champion)


_AT_ONCE: Mapping[Promotion, Callable[[bool], bool]] = {
    Promotion.FIRST: lambda has_champion: not has_champion,
    Promotion.ALWAYS: lambda has_champion: True,
    Promotion.NEVER: lambda has_champion: False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of the model: its number, its bundle (None where its files are not on this machine), the run that made
    it, its tags."""

    number: str
    bundle: Path | None
    run: str | None
    tags: Mapping[str, str]

    @property
    def replaced(self) -> tuple[str, ...]:
        """Numbers of the champions before it, the latest first; none where it never was the champion."""
        return tuple(number for number in self.tags.get(REPLACED, "").split(",") if number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """Who decides something about a version, when and why.

    Attributes:
        reason: in words; a person's own where one was given.
        evidence: the figures that it rests on, in one line; empty where there are none.
        by: who.
        at: the instant, microseconds UTC.
    """

    reason: str
    evidence: str = ""
    by: str
    at: int

    @classmethod
    def now(cls, reason: str, *, evidence: str = "", clock: Clock | None = None) -> "Because":
        """Decided here and now by whoever runs this."""
        return cls(reason=reason, evidence=evidence, by=_whoever(), at=(clock or SystemClock()).now())

    def tags(self, what: str) -> dict[str, str]:
        """As tags: `what` is promoted, rolled_back or refused."""
        told = {f"{what}_at": to_datetime(self.at).isoformat(), f"{what}_by": self.by, f"{what}_because": self.reason}
        return told | ({"evidence": self.evidence} if self.evidence else {})


def line_after(champion: Version | None) -> tuple[str, ...]:
    """What the next champion replaces: this one, and those before it."""
    return (champion.number, *champion.replaced)[:_REMEMBERED] if champion else ()


def former(champion: Version | None) -> str:
    """The number of the champion before; ReleaseError where there is none."""
    if champion is None:
        raise ReleaseError("the registry has no champion, so there is nothing to roll back; train one first")
    if not champion.replaced:
        raise ReleaseError(
            f"version {champion.number} is the champion and its tags name none before it ({REPLACED}), so there is "
            "nothing to go back to; name a version to promote instead: python -m training.promote challenger=NUMBER"
        )
    return champion.replaced[0]


def _whoever() -> str:
    """user@machine; containers may have no name for their user."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
