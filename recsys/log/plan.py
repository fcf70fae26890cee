"""What a source has to offer beyond what a log holds: nothing, further parts, or something else altogether."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.data.chunk import SourceChunk, SourcePart
from recsys.errors import DataError, SourceError
from recsys.log.manifest import MANIFEST, Manifest, read_manifest, version_of
from recsys.protocols import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be read.

    Attributes:
        base: the log to add to; None to write it from scratch.
        fresh: ranks of the parts to read.
        parts: all parts of the log to be: those of the source, and those that the log holds beyond them.
        kept: names of those that the source does not have any more, or was not asked for.
        numbers: how the log names each of them, see `PartRecord`.
        reason: why a log that exists is written from scratch; None if none does.
        old: the manifest that is replaced, added to or kept; None if there is none.
    """

    base: Manifest | None
    fresh: tuple[int, ...]
    parts: tuple[SourcePart, ...]
    kept: tuple[str, ...]
    numbers: tuple[int, ...]
    reason: str | None
    old: Manifest | None

    @classmethod
    def of(cls, source: Source, parts: Sequence[SourcePart], folder: Path, *, rebuild: bool = False) -> "Plan":
        """Compare a source's parts with the log in `folder`; `rebuild`: write it from scratch whatever it holds.

        Raises:
            SourceError: two parts have the same name.
            DataError: there is a log that cannot be read or is of another version, or it would have to be written from
                scratch and holds parts that are not given.
        """
        names = [part.name for part in parts]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise SourceError(f"source {source.name!r} has more than one part called {', '.join(twice)}; rename one")
        old, reason = _existing(folder)
        if old is not None:
            reason = "rebuild=true" if rebuild else _why_not_kept(old, source, parts, folder)
        base = None if reason else old
        kept = _beyond(base, parts) if base else []
        if base and kept:
            parts = _merged(base, parts)
        numbers = {part.name: part.number for part in base.parts} if base else {}
        fresh = tuple(rank for rank, part in enumerate(parts) if part.name not in numbers)
        next_number = max(numbers.values(), default=-1) + 1
        numbers |= {parts[rank].name: next_number + place for place, rank in enumerate(fresh)}
        return cls(
            base=base,
            fresh=fresh,
            parts=tuple(parts),
            kept=tuple(kept),
            numbers=tuple(numbers[part.name] for part in parts),
            reason=reason,
            old=old,
        )

    @property
    def nothing_new(self) -> bool:
        """Whether the log is what the source would give."""
        return self.base is not None and not self.fresh


def _existing(folder: Path) -> tuple[Manifest | None, str | None]:
    if (folder / MANIFEST).exists():
        return read_manifest(folder), None
    version = version_of(folder)
    return None, None if version is None else f"it was written by an earlier release (schema version {version})"


def _why_not_kept(old: Manifest, source: Source, parts: Sequence[SourcePart], folder: Path) -> str | None:
    if old.settings != source.fingerprint():
        return "the source's settings changed"
    missing = {part.name: part.digest for part in old.parts}
    for name in set(missing) & {part.name for part in parts}:
        del missing[name]
    reason, renamed = _what_changed(old, parts, missing)
    lost = sorted(set(missing) - renamed)
    if reason and lost:
        some = ", ".join(repr(name) for name in lost[:3]) + (" ..." if len(lost) > 3 else "")
        raise DataError(
            f"{reason}, so that the log {folder} would have to be written from scratch, but {len(lost)} of its parts "
            f"are not given and would be lost ({some}); give all files, or write the log anew from what is given: "
            "rebuild=true"
        )
    return reason


def _what_changed(
    old: Manifest, parts: Sequence[SourcePart], missing: Mapping[str, str]
) -> tuple[str | None, frozenset[str]]:
    """Why parts cannot be added to a log, if so; and which of the `missing` ones (with digests) have another name."""
    digests = {part.name: part.digest for part in old.parts}
    for part in parts:
        if part.digest != digests.get(part.name, part.digest):
            return f"the part {part.name!r} changed", frozenset()
    former = {digest: name for name, digest in missing.items()}
    moved = {former[part.digest]: part.name for part in parts if part.name not in digests and part.digest in former}
    if moved:
        was, now = next(iter(moved.items()))
        return f"the part {was!r} is called {now!r} now", frozenset(moved)
    given = [part.name for part in parts if part.name in digests]
    if given != [part.name for part in old.parts if part.name in set(given)]:
        return "the parts come in another order", frozenset()
    return None, frozenset()


def _beyond(base: Manifest, parts: Sequence[SourcePart]) -> list[str]:
    """Names of parts of the log that are not given."""
    given = {part.name for part in parts}
    return [part.name for part in base.parts if part.name not in given]


def _merged(base: Manifest, parts: Sequence[SourcePart]) -> list[SourcePart]:
    """All parts of the log in its order; new ones come before the given part that they stand before, or last."""
    known = {part.name for part in base.parts}
    ahead: dict[str, list[SourcePart]] = {}
    waiting: list[SourcePart] = []
    for part in parts:
        waiting.append(part)
        if part.name in known:
            ahead[part.name] = waiting
            waiting = []
    merged = []
    for held in base.parts:
        merged += ahead.get(held.name, [SourcePart(name=held.name, digest=held.digest, chunks=_not_read)])
    return [*merged, *waiting]


def _not_read() -> Iterator[SourceChunk]:
    """Chunks of a part that the log holds already."""
    return iter(())
