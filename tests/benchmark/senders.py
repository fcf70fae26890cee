"""Senders of events that remember what was acknowledged, as careful shops do, whatever dies meanwhile."""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import httpx
import numpy as np

_PAUSE_S = 0.005
_AFTER_FAILURE_S = 0.05
_LARGEST = 20
_AGAIN = 0.05
"""Which share of requests repeats an earlier one that was acknowledged, as where its answer was lost on the way."""


class Sender:
    """Sends its events in order, some at a time; what fails is sent again under the same ids until it is acknowledged.

    `acknowledged` events were: `NAME-0`, `NAME-1`, ... without a gap. `failed` counts requests without an
    acknowledgement, `unexpected` collects answers that no fault explains.
    """

    def __init__(self, url: str, name: str, *, items: Sequence[str], rng: np.random.Generator) -> None:
        self.name = name
        self.acknowledged = 0
        self.failed = 0
        self.unexpected: list[str] = []
        self._url = url
        self._items = items
        self._rng = rng

    def send(self, stop: threading.Event) -> None:
        """Go on until told to stop."""
        first, count = 0, 1
        with httpx.Client(base_url=self._url, timeout=5) as http:
            while not stop.is_set():
                again = first < self.acknowledged
                if not self._told(http, first, count):
                    self.failed += 1
                    stop.wait(_AFTER_FAILURE_S)
                    continue
                if not again:
                    self.acknowledged = first + count
                count = int(self._rng.integers(1, _LARGEST + 1))
                repeats = self.acknowledged > 2 * _LARGEST and self._rng.random() < _AGAIN
                first = self.acknowledged - 2 * _LARGEST if repeats else self.acknowledged
                time.sleep(_PAUSE_S)

    def _told(self, http: httpx.Client, first: int, count: int) -> bool:
        events = [
            {
                "event_id": f"{self.name}-{number}",
                "type": "view",
                "user_id": self.name,
                "item_id": self._items[number % len(self._items)],
            }
            for number in range(first, first + count)
        ]
        try:
            answer = http.post("/v1/events", json={"events": events})
        except httpx.HTTPError:
            return False
        if answer.status_code != 200:
            if answer.status_code not in (429, 500, 502, 503, 504):
                self.unexpected.append(f"{answer.status_code}: {answer.text[:200]}")
            return False
        receipts = answer.json()
        if receipts["rejected"]:
            self.unexpected.append(str(receipts["results"][0]))
            return False
        if first < self.acknowledged and receipts["accepted"]:
            self.unexpected.append(f"{receipts['accepted']} of {count} events were taken in though acknowledged before")
        return True


class Senders:
    """Several at once, each in a thread; `with` starts and stops them."""

    def __init__(self, url: str, *, count: int, items: Sequence[str], rng: np.random.Generator) -> None:
        self.all = [
            Sender(url, f"sender-{number}", items=items, rng=own) for number, own in enumerate(rng.spawn(count))
        ]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=one.send, args=(self._stop,)) for one in self.all]

    @property
    def acknowledged(self) -> int:
        """Events of all of them."""
        return sum(one.acknowledged for one in self.all)

    @property
    def failed(self) -> int:
        """Requests of all of them."""
        return sum(one.failed for one in self.all)

    @property
    def unexpected(self) -> list[str]:
        """What nobody of them should have been told."""
        return [line for one in self.all for line in one.unexpected]

    def ids(self) -> list[str]:
        """The ids of all events that were acknowledged."""
        return [f"{one.name}-{number}" for one in self.all for number in range(one.acknowledged)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
