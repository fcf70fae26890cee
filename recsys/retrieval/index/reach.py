"""How many lists must be read, and how many of the longest vectors looked at, to reach what exact search finds."""

import numpy as np

_HEADS = (0.0, 0.01, 0.02, 0.04, 0.08, 0.12, 0.16)
"""Shares of the catalogue that are tried as head."""
_A_LIST = 60
"""Going to a list takes as long as so many codes."""


def cheapest(
    near: np.ndarray, exact: np.ndarray, list_of: np.ndarray, longest: np.ndarray, recall: float
) -> tuple[int, int]:
    """How many vectors of the head and lists of the others hold `recall` of the items `exact` [Q, K], with the least
    work: one code and `_A_LIST` of them for each list. `longest` [V - 1] are the items by length."""
    order = np.argsort(-near, axis=1)
    found: list[tuple[float, int, int]] = []
    for share in _HEADS:
        head = round(share * len(longest))
        sizes = np.bincount(list_of[longest[head:]], minlength=near.shape[1])
        probes = needed_lists(near, exact, list_of, longest[:head], recall)
        found.append((float(head + sizes[order[:, :probes]].sum(1).mean() + _A_LIST * probes), head, probes))
    _, head, probes = min(found)
    return head, probes


def needed_lists(near: np.ndarray, exact: np.ndarray, list_of: np.ndarray, head: np.ndarray, recall: float) -> int:
    """How many lists, in the order that `near` [Q, L] says, hold with the items of the `head` [H] `recall` of the items
    `exact` [Q, K]."""
    lists = near.shape[1]
    rank = np.empty(near.shape, np.int64)
    np.put_along_axis(rank, np.argsort(-near, axis=1), np.arange(lists)[None], 1)
    within = np.take_along_axis(rank, list_of[exact].astype(np.int64), 1) + 1
    in_head = np.zeros(len(list_of), bool)
    in_head[head] = True
    covered = np.cumsum(np.bincount(np.where(in_head[exact], 0, within).ravel(), minlength=lists + 1))
    return max(1, int(np.argmax(covered >= recall * exact.size - 1e-9)))
