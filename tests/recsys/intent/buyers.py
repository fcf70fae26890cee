"""A made-up shop with views and purchases whose truth is known.

Half of the shoppers are buyers: every session of theirs ends with a purchase of what they looked at twice. The others
only look around: three different items, nothing bought. Buyers come back two days later, the others after five. A
session is about one category.
"""

import numpy as np

from recsys.catalogue import Catalogue
from recsys.clock import DAY, MINUTE
from recsys.event import EventType
from recsys.sequence.histories import Histories
from tests.recsys.by_hand import Row, histories, items_table

CATEGORIES, EACH = 3, 4
PAUSE = {True: 2 * DAY // MINUTE, False: 5 * DAY // MINUTE}
VIEW, BUY = EventType.VIEW, EventType.PURCHASE


def catalogue() -> Catalogue:
    """Twelve items in three categories."""
    count = CATEGORIES * EACH
    paths = [[f"category {number // EACH}", f"kind {number}"] for number in range(count)]
    return Catalogue(items_table([f"item-{number:02d}" for number in range(count)], paths))


def shoppers(count: int, *, sessions: int = 6, seed: int = 0) -> Histories:
    """Shopper s is a buyer where s is even and stays with category s % 3."""
    rng = np.random.default_rng(seed)
    return histories(*(_life(shopper, sessions, rng) for shopper in range(count)), unit=MINUTE)


def _life(shopper: int, sessions: int, rng: np.random.Generator) -> list[Row]:
    buyer, rows = shopper % 2 == 0, list[Row]()
    begin = int(rng.integers(2 * DAY // MINUTE))
    for _ in range(sessions):
        items = 1 + shopper % CATEGORIES * EACH + rng.permutation(EACH)
        one, two, three = (int(item) for item in items[:3])
        if buyer:
            rows += [(one, begin, VIEW), (one, begin + 5, VIEW), (one, begin + 10, BUY)]
        else:
            rows += [(one, begin, VIEW), (two, begin + 5, VIEW), (three, begin + 10, VIEW)]
        begin += PAUSE[buyer] + int(rng.integers(60))
    return rows
