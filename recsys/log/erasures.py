"""Keeps erased shoppers out: knows their rows again without holding their ids.

Of an erased id the log keeps an HMAC-SHA256 under a key of its own, and for speed 32 bits of another hash. Only what
agrees in these is looked at more closely. These hashes are pseudonyms: whoever holds the manifest can test guesses.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.event import EventType
from recsys.log.manifest import Erased
from recsys.log.text_hash import hashes, hashes_of_spans, spans

Kind = Literal["user", "anonymous"]
KINDS: tuple[Kind, ...] = ("user", "anonymous")

_LINKS = pa.array([EventType.LINK.value, EventType.UNLINK.value])
_TEXT_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Sifted:
    """Events without those of erased shoppers.

    Attributes:
        events: what may stay.
        kept: which of the rows those are [rows] bool.
        linked: anonymous ids that a removed row gives to an erased user and that are not erased themselves yet.
    """

    events: pa.Table
    kept: np.ndarray
    linked: frozenset[str]


@dataclass(frozen=True, slots=True)
class Erasures:
    """Everything that was erased from one log."""

    entries: tuple[Erased, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries)

    def adding(self, kind: Kind, ids: Iterable[str]) -> "Erasures":
        """These and further ids; those that are erased already are not entered twice."""
        key = self.entries[0].key if self.entries else secrets.token_hex(32)
        known = {entry.digest for entry in self.entries}
        fresh = [entry for text in sorted(set(ids)) if (entry := entry_of(key, kind, text)).digest not in known]
        return Erasures((*self.entries, *fresh))

    def sift(self, events: pa.Table) -> Sifted:
        """Take out what is of erased shoppers; slates (`recsys/log/exposures.py`), too, which have no type.

        A row goes if its user is erased, or if its visitor is and it carries no user, or says nothing but whose the
        visitor was. Another user's row loses an erased visitor's id and stays.
        """
        user = self._among("user", events["user_id"])
        visitor = self._among("anonymous", events["anonymous_id"])
        if not (user.any() or visitor.any()):
            return Sifted(events, np.ones(events.num_rows, bool), frozenset())
        links = np.zeros(events.num_rows, bool)
        if "type" in events.column_names:
            links = pc.is_in(events["type"], value_set=_LINKS).to_numpy()
        gone = user | (visitor & (pc.is_null(events["user_id"]).to_numpy() | links))
        linked = pc.unique(events["anonymous_id"].filter(pa.array(user & ~visitor))).drop_null().to_pylist()
        if (visitor & ~gone).any():
            place = events.schema.get_field_index("anonymous_id")
            blank = pc.if_else(pa.array(visitor), pa.scalar(None, pa.string()), events["anonymous_id"])
            events = events.set_column(place, events.schema.field(place), blank)
        return Sifted(events.filter(pa.array(~gone)), ~gone, frozenset(linked))

    def sift_texts(self, raw: pa.ChunkedArray) -> np.ndarray:
        """Which of the texts [N] hold no erased id as a word of its own."""
        kept = [np.zeros(0, bool)]
        for chunk in raw.chunks:
            for piece in _slices(chunk):
                kept.append(~self._holding_ids(piece))
        return np.concatenate(kept)

    def _among(self, kind: Kind, ids: pa.ChunkedArray) -> np.ndarray:
        """Which ids [N] are erased."""
        found = np.zeros(len(ids), bool)
        if ids.null_count == len(ids):
            return found
        filled = pc.fill_null(ids, "")
        for key, entries in _by_key(entry for entry in self.entries if entry.kind == kind):
            hint = np.concatenate([_hints(hashes(chunk, _seed(key))) for chunk in filled.chunks])
            near = np.isin(hint, [entry.hint for entry in entries])
            if near.any():
                digests = {entry.digest for entry in entries}
                suspected = pc.unique(filled.filter(pa.array(near))).to_pylist()
                erased = [text for text in suspected if digest_of(key, kind, text) in digests]
                found |= pc.is_in(filled, value_set=pa.array(erased, pa.string())).to_numpy()
        return found

    def _holding_ids(self, texts: pa.StringArray) -> np.ndarray:
        data, start, length = spans(texts)
        end, used = start + length, int(length.sum())
        found = np.zeros(len(texts), bool)
        for (key, size), entries in _by_key_and_length(self.entries):
            digests = {entry.digest for entry in entries}
            begin = np.arange(max(used - size + 1, 0))
            hint = _hints(hashes_of_spans(data, begin, np.full(len(begin), size), _seed(key)))
            for place in np.flatnonzero(np.isin(hint, [entry.hint for entry in entries])).tolist():
                row = int(np.searchsorted(end, place, side="right"))
                if place + size <= end[row] and _is_word(data[start[row] : end[row]], place - int(start[row]), size):
                    text = data[place : place + size].tobytes().decode(errors="replace")
                    found[row] |= any(digest_of(key, kind, text) in digests for kind in KINDS)
        return found


def entry_of(key: str, kind: Kind, text: str) -> Erased:
    """What is kept of an erased id."""
    hint = int(_hints(hashes(pa.array([text]), _seed(key)))[0])
    return Erased(kind=kind, key=key, digest=digest_of(key, kind, text), hint=hint, length=len(text.encode()))


def digest_of(key: str, kind: Kind, text: str) -> str:
    """The HMAC of an id, in hexadecimal."""
    return hmac.digest(bytes.fromhex(key), f"{kind}:{text}".encode(), "sha256").hex()


def _by_key(entries: Iterable[Erased]) -> Iterable[tuple[str, list[Erased]]]:
    groups: dict[str, list[Erased]] = {}
    for entry in entries:
        groups.setdefault(entry.key, []).append(entry)
    return groups.items()


def _by_key_and_length(entries: Iterable[Erased]) -> Iterable[tuple[tuple[str, int], list[Erased]]]:
    groups: dict[tuple[str, int], list[Erased]] = {}
    for entry in entries:
        groups.setdefault((entry.key, entry.length), []).append(entry)
    return groups.items()


def _seed(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])


def _hints(values: np.ndarray) -> np.ndarray:
    upper: np.ndarray = values >> np.uint64(32)
    return upper


def _slices(texts: pa.StringArray) -> Iterator[pa.StringArray]:
    """The array in slices of about a megabyte."""
    rows = max(int(len(texts) * _TEXT_AT_ONCE / max(texts.nbytes, 1)), 1)
    for begin in range(0, len(texts), rows):
        yield texts.slice(begin, rows)


def _is_word(text: np.ndarray, begin: int, size: int) -> bool:
    """Whether neither a letter nor a digit adjoins; bytes beyond ASCII count as letters."""
    beside = [*text[max(begin - 1, 0) : begin].tolist(), *text[begin + size : begin + size + 1].tolist()]
    return not any(byte >= 0x80 or chr(byte).isalnum() for byte in beside)
