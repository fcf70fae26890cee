"""Raw files as their owners publish them: found in one folder, or asked for with a name, an address and a place."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recsys.data.chunk import SourceChunk, SourcePart
from recsys.errors import SourceError

_COMPRESSED = ("", ".gz", ".zst", ".bz2")


@dataclass(frozen=True, slots=True)
class RawFiles:
    """The files of one public data set.

    Attributes:
        folder: where the user put them.
        data_set: its name, for messages.
        origin: where to download it: an address, and what to do there if that is not plain.
    """

    folder: Path
    data_set: str
    origin: str

    def path(self, *names: str) -> Path:
        """The first of `names` that exists, also compressed (.gz, .zst, .bz2); SourceError with the remedy if none."""
        found = self.find(*names)
        if found is None:
            wanted = " or ".join(names)
            raise SourceError(
                f"{self.data_set}: {self.folder.absolute() / names[0]} is missing; download {wanted} from "
                f"{self.origin} and put it into {self.folder.absolute()} (another folder: data.folder=...)"
            )
        return found

    def find(self, *names: str) -> Path | None:
        """The first of `names` that exists, also compressed; None if there is none."""
        candidates = (self.folder / f"{name}{suffix}" for name in names for suffix in _COMPRESSED)
        return next((path for path in candidates if path.is_file()), None)


def digest_of(*paths: Path) -> str:
    """SHA-256 of the bytes of files, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as raw:
            digest.update(hashlib.file_digest(raw, "sha256").digest())
    return digest.hexdigest()


def items_part(path: Path, name: str | None = None) -> SourcePart:
    """A file that only describes items: no events, but a log holds the items too and must notice that it changed."""
    return SourcePart(name=f"items: {name or path.name}", digest=digest_of(path), chunks=_no_chunks)


def _no_chunks() -> Iterator[SourceChunk]:
    return iter(())
