"""Runs of equal neighbours, and the distinct values of an array: what answers count with, thousands of times a second.

NumPy's own `diff` with `prepend` and `unique` do the same; for the short arrays of one shopper they take three to ten
times as long, most of it in Python.
"""

import numpy as np


def fresh(*columns: np.ndarray) -> np.ndarray:
    """Whether each row [N] differs from the one before in any of the columns [N], [N] bool; the first row does."""
    found = np.empty(len(columns[0]), bool)
    found[:1] = True
    np.not_equal(columns[0][1:], columns[0][:-1], out=found[1:])
    for column in columns[1:]:
        found[1:] |= column[1:] != column[:-1]
    return found


def firsts(*columns: np.ndarray) -> np.ndarray:
    """Rows at which a run begins, ascending [M]."""
    return fresh(*columns).nonzero()[0]


def distinct(value: np.ndarray) -> np.ndarray:
    """The distinct of `value` [N], ascending [M]."""
    ordered = np.sort(value)
    found: np.ndarray = ordered[fresh(ordered)]
    return found


def numbered(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct of `value` [N], ascending [M], and the number of each value among them [N]."""
    found = distinct(value)
    return found, np.searchsorted(found, value)


def places_in(ascending: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `value` [N] lies in the `ascending` distinct ones [M], at most M - 1, and whether it is there [N].
    Of nothing (M = 0) nothing is there."""
    if not len(ascending):
        return np.zeros(len(value), np.int64), np.zeros(len(value), bool)
    place = np.minimum(np.searchsorted(ascending, value), len(ascending) - 1)
    return place, ascending[place] == value
