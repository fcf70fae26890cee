"""What shoppers of a shop do, made up: who has which history, and how they click from now on.

A shopper's history has fifty events: views, carts and purchases in visits of some minutes over the last two months,
the last of them still going on. Then sessions go on side by side: their lengths are geometric, the pauses between two
clicks log-normal with a median of twelve seconds, items drawn by Zipf's law; each click is told as an event, and the
page that follows asks for a slate. In order of time that gives one stream of events and questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from recsys.clock import to_datetime
from tests.benchmark.load import Request

HISTORY = 50
SLATE = 20
_VISITS = 5
_CLICKS = 6.0
_PAUSE_S = 12.0
_KINDS = ("view", "add_to_cart", "purchase")
_KIND_SHARE = (0.7, 0.15, 0.15)


@dataclass(frozen=True, slots=True)
class Workload:
    """A shop's traffic.

    Args:
        items: ids of the items, the most popular first.
        now: the service's instant, microseconds UTC.
        shoppers: how many there are.
        seed: of everything that is drawn.
    """

    items: Sequence[str]
    now: int
    shoppers: int = 200
    seed: int = 0

    def histories(self, *, largest: int = 500) -> list[Request]:
        """Requests that tell everybody's history, in batches."""
        rng = np.random.default_rng(self.seed)
        events = [event for shopper in range(self.shoppers) for event in self._history(shopper, rng)]
        return [
            Request("/v1/events", {"events": events[begin : begin + largest]})
            for begin in range(0, len(events), largest)
        ]

    def questions(self) -> list[Request]:
        """One of every shopper."""
        return [self.question(shopper) for shopper in range(self.shoppers)]

    def clicks(self, count: int = 2_000) -> list[Request]:
        """So many single events of these shoppers."""
        rng = np.random.default_rng(self.seed + 1)
        shoppers = rng.integers(0, self.shoppers, count).tolist()
        return [self.click(shopper, item) for shopper, item in zip(shoppers, self._drawn(rng, count), strict=True)]

    def sessions(self, count: int = 4_000) -> list[Request]:
        """So many requests of sessions side by side: an event and a question in turn, in order of time."""
        rng = np.random.default_rng(self.seed + 2)
        steps: list[tuple[float, int]] = []
        while len(steps) < count // 2:
            shopper, clock_s = int(rng.integers(self.shoppers)), float(rng.uniform(0, 3_600))
            for _ in range(int(rng.geometric(1 / _CLICKS))):
                steps.append((clock_s, shopper))
                clock_s += float(rng.lognormal(np.log(_PAUSE_S), 1.0))
        steps = sorted(steps)[: count // 2]
        items = self._drawn(rng, len(steps))
        pairs = [
            (self.click(shopper, item), self.question(shopper)) for (_, shopper), item in zip(steps, items, strict=True)
        ]
        return [request for pair in pairs for request in pair]

    def question(self, shopper: int) -> Request:
        """What to show this shopper now."""
        return Request("/v1/recommendations", {"shopper": {"user_id": f"shopper-{shopper}"}, "count": SLATE})

    def click(self, shopper: int, item: str) -> Request:
        """The shopper looks at an item now."""
        return Request("/v1/events", {"type": "view", "user_id": f"shopper-{shopper}", "item_id": item})

    def _drawn(self, rng: np.random.Generator, count: int) -> list[str]:
        weight = 1 / np.arange(10, 10 + len(self.items))
        return [self.items[place] for place in rng.choice(len(self.items), count, p=weight / weight.sum()).tolist()]

    def _history(self, shopper: int, rng: np.random.Generator) -> list[dict[str, Any]]:
        end = to_datetime(self.now)
        visit = [*np.sort(rng.uniform(1.0, 60.0, _VISITS - 1))[::-1].tolist(), 0.01]
        days_ago = np.repeat(visit, HISTORY // _VISITS) - np.tile(np.arange(HISTORY // _VISITS), _VISITS) / 1_440 / 2
        kinds = rng.choice(_KINDS, HISTORY, p=_KIND_SHARE).tolist()
        return [
            {
                "event_id": f"history-{self.seed}-{shopper}-{number}",
                "type": kind,
                "user_id": f"shopper-{shopper}",
                "item_id": item,
                "occurred_at": (end - timedelta(days=max(days, 0.0))).isoformat(),
            }
            for number, (kind, item, days) in enumerate(
                zip(kinds, self._drawn(rng, HISTORY), days_ago.tolist(), strict=True)
            )
        ]
