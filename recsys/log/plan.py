"""What a source has to offer beyond what a log holds: nothing, further parts, or something else altogether."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.data.chunk import SourcePart
from recsys.errors import SourceError
from recsys.log.manifest import MANIFEST, Manifest, read_manifest, version_of
from recsys.protocols import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be read.

    Attributes:
        base: the log to add to; None to write it from scratch.
        fresh: ranks of the parts to read.
        parts: all parts of the source.
        numbers: how the log names each of them, see `PartRecord`.
        reason: why a log that exists is written from scratch; None if none does.
        old: the manifest that is replaced, added to or kept; None if there is none.
    """

    base: Manifest | None
    fresh: tuple[int, ...]
    parts: tuple[SourcePart, ...]
    numbers: tuple[int, ...]
    reason: str | None
    old: Manifest | None

    @classmethod
    def of(cls, source: Source, parts: Sequence[SourcePart], folder: Path) -> "Plan":
        """Compare a source's parts with the log in `folder`.

        Raises:
            SourceError: two parts have the same name.
            DataError: there is a log that cannot be read or is of another version.
        """
        names = [part.name for part in parts]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise SourceError(f"source {source.name!r} has more than one part called {', '.join(twice)}; rename one")
        old, reason = _existing(folder)
        if old is not None:
            reason = _why_not_kept(old, source, parts)
        base = None if reason else old
        numbers = {part.name: part.number for part in base.parts} if base else {}
        fresh = tuple(rank for rank, part in enumerate(parts) if part.name not in numbers)
        next_number = max(numbers.values(), default=-1) + 1
        numbers |= {parts[rank].name: next_number + place for place, rank in enumerate(fresh)}
        return cls(
            base=base,
            fresh=fresh,
            parts=tuple(parts),
            numbers=tuple(numbers[name] for name in names),
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


def _why_not_kept(old: Manifest, source: Source, parts: Sequence[SourcePart]) -> str | None:
    if old.settings != source.fingerprint():
        return "the source's settings changed"
    digests = {part.name: part.digest for part in parts}
    for part in old.parts:
        if part.name not in digests:
            return f"the part {part.name!r} is gone"
        if part.digest != digests[part.name]:
            return f"the part {part.name!r} changed"
    order = [part.name for part in old.parts]
    if [part.name for part in parts if part.name in set(order)] != order:
        return "the parts come in another order"
    return None
