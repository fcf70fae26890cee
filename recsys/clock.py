"""Time is passed in, never looked up: whoever needs "now" is given a clock.

All instants inside Attune are integers: microseconds since 1970-01-01 UTC.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Anything that can say what time it is."""

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own time."""

    def now(self) -> int:
        return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class ShiftedClock:
    """The machine's time moved by a constant, so that a recorded log ends "now".

    `shift` is in microseconds and is computed once, so that every replica given the same shift agrees.
    """

    shift: int

    @classmethod
    def starting_at(cls, start: int) -> "ShiftedClock":
        """A clock that reads `start` (microseconds, UTC) at this moment and then runs on."""
        return cls(shift=start - time.time_ns() // 1_000)

    def now(self) -> int:
        return time.time_ns() // 1_000 + self.shift


@dataclass(slots=True)
class ManualClock:
    """A clock moved by hand, for tests, replays and notebooks."""

    at: int = field(default=0)

    def now(self) -> int:
        return self.at

    def advance(self, microseconds: int) -> None:
        """Move forward by `microseconds`."""
        self.at += microseconds


def to_instant(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC of an aware `datetime`; a naive one raises ValueError."""
    if moment.tzinfo is None:
        raise ValueError(f"the time {moment.isoformat()!r} has no zone; add an offset such as +00:00 or Z")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(instant: int) -> datetime:
    """The aware UTC `datetime` of an instant in microseconds."""
    return _EPOCH + timedelta(microseconds=instant)


def parse_instant(text: str) -> int:
    """The instant of an ISO 8601 text; a bare date means midnight UTC."""
    moment = datetime.fromisoformat(text)
    return to_instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
