"""Fingerprints of lists of items: the same list has the same one, wherever and whenever it is made."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.fingerprint import Fingerprints, fingerprint_of


def test_a_fingerprint_is_the_digest_of_the_digests_of_the_ids() -> None:
    parts = b"".join(hashlib.blake2b(one, digest_size=8).digest() for one in (b"milk", "Käse".encode()))
    assert fingerprint_of(["milk", "Käse"]) == hashlib.blake2b(parts, digest_size=16).hexdigest()
    assert fingerprint_of(["milk", "Käse"]) == "8b5cf76a1f5f524025e878cf09a41813", "as ever"


def test_order_and_borders_between_ids_count() -> None:
    lists = [[], ["a"], ["b"], ["a", "b"], ["b", "a"], ["ab"], ["a", "a"], ["a", ""]]
    assert len({fingerprint_of(ids) for ids in lists}) == len(lists)


@given(st.lists(st.lists(st.integers(1, 300), max_size=40), max_size=6))
def test_what_is_remembered_changes_no_fingerprint(lists: list[list[int]]) -> None:
    fingerprints = Fingerprints()
    for indices in lists:
        ids = [f"item-{index}" for index in indices]
        assert fingerprints.of(np.array(indices, np.int64), lambda index: f"item-{index}") == fingerprint_of(ids)
