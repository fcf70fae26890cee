"""A short name for a list of items, by which equal lists are known again, today and in any later release.

Of each id the 8-byte BLAKE2b digest of its UTF-8 bytes is taken, these are put one after the other in the order of the
list, and of that the 16-byte BLAKE2b digest in hexadecimal (RFC 7693, https://www.rfc-editor.org/rfc/rfc7693). So
whoever has the ids can make it again, and a list of hundreds costs microseconds where the digests of ids are kept.
"""

import hashlib
from collections.abc import Callable, Iterable

import numpy as np


def fingerprint_of(item_ids: Iterable[str]) -> str:
    """The fingerprint of ids in their order."""
    return _whole(b"".join(_one(item_id) for item_id in item_ids))


class Fingerprints:
    """Fingerprints of lists of catalogue indices; remembers the digest of every id it met. Threads may share it."""

    def __init__(self) -> None:
        self._digest = np.empty(0, "<u8")
        self._known = np.empty(0, bool)

    def of(self, item: np.ndarray, id_of: Callable[[int], str]) -> str:
        """The fingerprint of the ids of indices [N]; an index always has the same id."""
        if len(item) and int(item.max()) >= len(self._known):
            self._grow(int(item.max()) + 1)
        digest, known = self._digest, self._known
        for index in item[~known[item]].tolist():
            digest[index] = int.from_bytes(_one(id_of(index)), "little")
            known[index] = True
        return _whole(digest[item].tobytes())

    def _grow(self, size: int) -> None:
        """Make room; what another thread learns meanwhile may be learnt again."""
        wider = max(size, 2 * len(self._known))
        digest, known = np.zeros(wider, "<u8"), np.zeros(wider, bool)
        digest[: len(self._digest)], known[: len(self._known)] = self._digest, self._known
        self._digest, self._known = digest, known


def _one(item_id: str) -> bytes:
    return hashlib.blake2b(item_id.encode(), digest_size=8).digest()


def _whole(digests: bytes) -> str:
    return hashlib.blake2b(digests, digest_size=16).hexdigest()
