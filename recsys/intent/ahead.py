"""What lies ahead of a question, as far as it may be known."""

from dataclasses import dataclass

import numpy as np

from recsys.event import EventType
from recsys.segments import bisect_segments
from recsys.sequence.histories import Histories
from recsys.sequence.sessions import sessions
from recsys.state import SESSION_GAP, is_one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """M questions about E events of S sequences, each asked the instant before a moment.

    Attributes:
        histories: everything that may be looked at; what a question may not know of is cut off already.
        at: instant of each question's moment [M] int64.
        row: row of events at which the moment begins [M].
        moment_end: row after the moment [M].
        sequence_end: row after the last event that is known of its sequence [M].
        known_until: what is strictly earlier is known, and that nothing else happened until then [M] int64.
    """

    histories: Histories
    at: np.ndarray
    row: np.ndarray
    moment_end: np.ndarray
    sequence_end: np.ndarray
    known_until: np.ndarray

    @classmethod
    def of(cls, histories: Histories, *, sequence: np.ndarray, at: np.ndarray, until: np.ndarray) -> "Ahead":
        """The questions about `sequence` [M] at the instants `at` [M] of some of their moments.

        `until` [S] is how far each sequence may be looked at; `histories` hold nothing from there on. Where it becomes
        known later who somebody is (`recsys/log/identity.py`), a sequence tells nothing from that instant on: what
        follows belongs to another one.
        """
        time = histories.events.time
        begin, end = histories.start[sequence], histories.start[sequence + 1]
        row = bisect_segments(time, begin, end, at)
        known = np.array(until, np.int64)
        number = histories.shopper_number()
        same = number[1:] == number[:-1]
        known[:-1] = np.where(same, np.minimum(known[:-1], histories.asked_from[1:]), known[:-1])
        adopted = histories.adoption.adopted_at[row]
        known_until = np.where(adopted > at, np.minimum(known[sequence], adopted), known[sequence])
        return cls(
            histories=histories,
            at=at,
            row=row,
            moment_end=bisect_segments(time, row, end, at, right=True),
            sequence_end=bisect_segments(time, row, end, known_until),
            known_until=known_until,
        )

    def of_type(self, *types: EventType) -> np.ndarray:
        """Which events are of these types, [E] bool."""
        found: np.ndarray = is_one_of(types)[self.histories.events.type]
        return found

    def session(self) -> tuple[np.ndarray, np.ndarray]:
        """Row after the session that runs at each question [M], and whether it is known to be over [M] bool.

        A session that could go on where nothing may be looked at is not over, whatever happened in it so far: to keep
        those in which something did and to drop the others would make it look likelier than it is.
        """
        time, start = self.histories.events.time, self.histories.start
        found = sessions(time, start)
        ends = np.append(found.first[1:], len(time))[found.number[self.row]]
        ends = np.minimum(ends, self.sequence_end)
        over = time[np.maximum(ends, 1) - 1] + SESSION_GAP < self.known_until
        return ends, over & (ends > self.row)
