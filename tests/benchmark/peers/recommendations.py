"""A small table of recommendations for two libraries to judge; needs NumPy only, and streams that it keeps for good."""

import numpy as np

SHOPPERS, ITEMS, LISTED = 12, 30, 20
LEVELS = (3, 6, 15)
"""How many categories there are on each level of an item's path; every narrower one lies in one wider one."""


def lists() -> np.ndarray:
    """The items 1..30 that each shopper is shown, best first [12, 20]."""
    stream = np.random.RandomState(4)
    return np.stack([stream.permutation(ITEMS)[:LISTED] + 1 for _ in range(SHOPPERS)])


def wanted() -> list[np.ndarray]:
    """What each shopper took after, one to six items; some of them not shown."""
    stream = np.random.RandomState(5)
    return [np.sort(stream.permutation(ITEMS)[: 1 + number % 6] + 1) for number in range(SHOPPERS)]


def taken() -> list[tuple[int, int]]:
    """Shopper and item of every earlier event; the items 29 and 30 were never taken, some more than once."""
    stream = np.random.RandomState(6)
    return [
        (int(stream.randint(SHOPPERS)), int(stream.randint(1, ITEMS - 1) ** 2 // (ITEMS - 2) + 1)) for _ in range(90)
    ]


def paths() -> np.ndarray:
    """Category of every item on each level [30, 3]."""
    item = np.arange(ITEMS)
    return np.stack([item * count // ITEMS for count in LEVELS], axis=1)
