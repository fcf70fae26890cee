"""The manifest: which files are the log, which parts they hold, and what was erased from them.

A data file is written once under a name of its own and never changed. What is part of the log is said by
`manifest.json` alone, and that is replaced in one step; so at every instant a log is the old one or the new one, and a
file that no manifest names is rubbish. (Iceberg and Delta Lake rest on the same idea, with a chain of manifests for
many writers: https://iceberg.apache.org/spec/. One writer at a time needs only one.)
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recsys.errors import DataError, SourceError
from recsys.event import SCHEMA_VERSION
from recsys.log.disk import replace, sync, writing
from recsys.log.summary import LogSummary

MANIFEST = "manifest.json"
OLD_SUMMARY = "summary.json"
"""What a log has in place of a manifest that was written by a release before there were any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A Parquet file of the log.

    Attributes:
        path: relative to the log's folder.
        rows: how many it holds.
        first, last: instants of its first and last event, microseconds UTC; 0 in files of items and refused rows.
        moments: how many pairs of shopper and instant.
        types: events by type.
    """

    path: str
    rows: int
    first: int = 0
    last: int = 0
    moments: int = 0
    types: Mapping[str, int] = field(default_factory=dict)

    @property
    def date(self) -> str:
        """The date of a file of events, YYYY-MM-DD."""
        return self.path.split("/")[1].partition("=")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """What became of the rows of one part; for the counts see `LogSummary`.

    Attributes:
        number: how the column `part` of the files of events names it; never given twice.
        name, digest: as the source said.
    """

    number: int
    name: str
    digest: str
    rows_in: int
    unfolded: int
    events: int
    duplicates: int
    quarantined: int
    excluded: int
    erased: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """An id whose rows may never be in the log again.

    The id does not stand in it, but it is a pseudonym and not anonymous: the key lies beside it, so whoever holds the
    manifest can test guesses, and where there are few possible ids, all of them. Guard it like the log itself.

    Attributes:
        kind: "user" or "anonymous".
        key: of the HMAC, in hexadecimal.
        digest: HMAC-SHA256 of the id, in hexadecimal.
        hint: 32 bits of another hash: what does not have it is not the id.
        length: of the id, in bytes.
    """

    kind: str
    key: str
    digest: str
    hint: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The whole state of a log.

    Attributes:
        schema_version: of the files, see `recsys/event.py`.
        generation: counts the writes; the names of new files begin with it.
        settings: the source's `fingerprint()`.
        parts: in the order of the source.
        events: by date, and within a date by shopper.
        items: one file.
        quarantine: in the order in which they were written.
        erased: whose rows are kept out.
        receipts: files that say what was erased.
        summary: totals.
    """

    schema_version: int
    generation: int
    settings: str
    parts: tuple[PartRecord, ...]
    events: tuple[DataFile, ...]
    items: DataFile
    quarantine: tuple[DataFile, ...]
    erased: tuple[Erased, ...]
    receipts: tuple[str, ...]
    summary: LogSummary

    @property
    def prefix(self) -> str:
        """With what the names of the files begin that were written last."""
        return f"{self.generation:08d}"

    def files(self) -> set[str]:
        """Paths of all that belongs to the log."""
        named = (self.items, *self.events, *self.quarantine)
        return {*(file.path for file in named), *self.receipts}


def content_digest(settings: str, parts: Sequence[tuple[str, str]], erased: Sequence[Erased]) -> str:
    """What the content of a log follows from: settings, names and digests of the parts, erased ids."""
    lines = [settings, *(f"{name} {digest}" for name, digest in parts), *sorted(entry.digest for entry in erased)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the log in `folder`.

    Raises:
        SourceError: there is no log.
        DataError: it is of another schema version or cannot be read; the message says what to do.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise _without_manifest(folder) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise _of_version(folder, version) if isinstance(version, int) else _unreadable(path)
    try:
        return _manifest(content)
    except (KeyError, TypeError) as error:
        raise _unreadable(path) from error


def version_of(folder: Path) -> int | None:
    """The schema version of the log in `folder`; None if there is none that can be read."""
    for name in (MANIFEST, OLD_SUMMARY):
        try:
            version = json.loads((folder / name).read_text())["schema_version"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return version if isinstance(version, int) else None
    return None


def commit(folder: Path, manifest: Manifest) -> None:
    """Make `manifest` the log. What is in the files that it names must be on the disk already.

    Raises:
        DataError: two of its files have one path.
        ConfigError: it cannot be written.
    """
    named = Counter(file.path for file in (manifest.items, *manifest.events, *manifest.quarantine))
    if twice := sorted(path for path, count in named.items() if count > 1):
        raise DataError(
            f"the event log {folder} stays as it was: what is to replace it names {', '.join(twice)} more than once, "
            "which is a defect of this release; please report it"
        )
    fresh = [folder / path for path in manifest.files() if path.rpartition("/")[2].startswith(manifest.prefix)]
    with writing(folder):
        for place in sorted({parent for path in fresh for parent in (path.parent, path.parent.parent)}):
            sync(place)
        replace(folder / MANIFEST, json.dumps(asdict(manifest), indent=1))


def _manifest(content: dict[str, Any]) -> Manifest:
    return Manifest(
        **{
            **content,
            "parts": tuple(PartRecord(**part) for part in content["parts"]),
            "events": tuple(DataFile(**file) for file in content["events"]),
            "items": DataFile(**content["items"]),
            "quarantine": tuple(DataFile(**file) for file in content["quarantine"]),
            "erased": tuple(Erased(**entry) for entry in content["erased"]),
            "receipts": tuple(content["receipts"]),
            "summary": LogSummary(**content["summary"]),
        }
    )


def _without_manifest(folder: Path) -> DataError:
    version = version_of(folder)
    if version is None:
        return SourceError(f"{folder} holds no event log ({MANIFEST} is missing); run: python -m training.ingest")
    return _of_version(folder, version)


def _of_version(folder: Path, version: int) -> DataError:
    if version > SCHEMA_VERSION:
        return DataError(
            f"the event log {folder} has schema version {version}, this release reads {SCHEMA_VERSION}; "
            "install the release that wrote it: pip install --upgrade attune-recsys"
        )
    return DataError(
        f"the event log {folder} was written by an earlier release (schema version {version}, this release reads "
        f"{SCHEMA_VERSION}); run: python -m training.migrate log={folder}"
    )


def _unreadable(path: Path) -> DataError:
    return DataError(
        f"{path} cannot be read as the manifest of an event log; restore it from a backup, or remove {path.parent} and "
        "ingest again (which forgets what was erased: erase again, too)"
    )
