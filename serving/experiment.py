"""Experiments: every shopper is in one arm of each, always the same one, whichever replica answers.

Which arm follows from the shopper's id and the experiment's name alone (an 8-byte BLAKE2b digest as a number between 0
and 1, laid along the arms' shares in the order in which they are written), so nothing is stored and experiments divide
shoppers independently of each other. Who signs in is a user from then on and may be in another arm than as a visitor;
who says nothing of themselves is in none. Changing shares or the order of arms moves shoppers between them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from recsys.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A way to answer: `share` of the shoppers relative to the other arms', with or without the ranker."""

    name: str
    share: float
    ranker: bool = True


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms under a name; ConfigError where nobody could be in any."""

    name: str
    arms: Sequence[Arm]

    def __post_init__(self) -> None:
        if not self.arms or min(arm.share for arm in self.arms) < 0 or not sum(arm.share for arm in self.arms) > 0:
            raise ConfigError(
                f"experiment {self.name!r} has no arm with a share of the shoppers; give it arms with shares"
            )

    def arm_of(self, shopper: str) -> Arm:
        """The arm of a shopper."""
        digest = hashlib.blake2b(f"{len(self.name)}:{self.name}:{shopper}".encode(), digest_size=8).digest()
        ends = list(accumulate(arm.share for arm in self.arms))
        place = int.from_bytes(digest) / 2**64 * ends[-1]
        return next(arm for arm, end in zip(self.arms, ends, strict=True) if place < end)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What experiments ask of one answer: the arm of each by name, and whether the ranker may order it."""

    arms: Mapping[str, str]
    with_ranker: bool = True


NO_TREATMENT = Treatment({})
"""Of who takes part in no experiment."""


def treatment(experiments: Sequence[Experiment], *, user_id: str | None, anonymous_id: str | None) -> Treatment:
    """What all experiments ask of the answer to a shopper: a user by the user's id, whatever the visitor's is."""
    if not experiments or (user_id is None and anonymous_id is None):
        return NO_TREATMENT
    shopper = f"user:{user_id}" if user_id is not None else f"anonymous:{anonymous_id}"
    arms = {experiment.name: experiment.arm_of(shopper) for experiment in experiments}
    return Treatment({name: arm.name for name, arm in arms.items()}, all(arm.ranker for arm in arms.values()))
