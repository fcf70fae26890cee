"""Erases a shopper: their rows leave the log for good, and a receipt stays that does not name them.

For a user, the anonymous ids go with them that any of their events carries, with all rows of these ids that name no
user. Another user's rows stay, without the erased anonymous id. Refused rows go if their text holds an erased id as a
word. What readers derived goes as a whole. The log keeps the ids' HMAC (`recsys/log/erasures.py`), so that the rows
stay out when the same source is ingested again, in this log and in others of the same source that are written later;
but models and bundles that were made before are not changed, nor is the source.
"""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow.compute as pc

from recsys.clock import Clock, to_datetime
from recsys.errors import ConfigError
from recsys.log.build import names_of
from recsys.log.disk import CACHE, locked, sync, writing
from recsys.log.engine import Engine, LocalEngine
from recsys.log.erasures import KINDS, Erasures, Kind
from recsys.log.event_files import pieces
from recsys.log.manifest import DataFile, Manifest, commit, content_digest, read_manifest
from recsys.log.sweep import SweepTask, Swept, sweep_events, sweep_quarantine
from recsys.log.tidy import roll_back, tidy
from recsys.log.totals import added_up

RECEIPTS = "receipts"


@dataclass(frozen=True, slots=True)
class Named:
    """A shopper as whoever asks for the erasure names them."""

    kind: Kind
    id: str

    @classmethod
    def parse(cls, text: str) -> "Named":
        """From "user:ID" or "anonymous:ID"; anything else raises ConfigError."""
        kind, _, shopper_id = text.partition(":")
        for known in KINDS:
            if kind == known and shopper_id:
                return cls(known, shopper_id)
        raise ConfigError(f"shopper is {text!r}; write shopper=user:ID, or shopper=anonymous:ID for a visitor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What an erasure did; it names nobody, but the digests are pseudonyms, see `Erased`.

    Attributes:
        at: when, ISO 8601.
        kind: of the id that was asked for: "user", "anonymous", or "linked" for visitors of users erased before.
        digests: HMAC-SHA256 of the ids that were not erased before, under the key in the manifest.
        events: rows of events that were removed.
        blanked: rows of others that lost an erased anonymous id.
        quarantined: refused rows that were removed.
        files_rewritten: files of the log that were written anew or removed.
        cache_files: files of derived data that were removed.
        fingerprint_before, fingerprint: of the log, before and since.
    """

    at: str
    kind: str
    digests: Sequence[str]
    events: int
    blanked: int
    quarantined: int
    files_rewritten: int
    cache_files: int
    fingerprint_before: str
    fingerprint: str


def erase(folder: Path, shopper: Named, *, clock: Clock, engine: Engine | None = None) -> Receipt:
    """Erase `shopper` from the log in `folder`; a shopper without rows is kept out from now on all the same.

    Raises:
        SourceError: there is no log.
        DataError: it is of another schema version or cannot be read.
        ConfigError: it cannot be written, or another process is writing it.
    """
    read_manifest(folder)  # before the lock, which would make the folder
    with locked(folder):
        manifest = read_manifest(folder)
        tidy(folder, manifest)
        linked = _visitors_of(folder, manifest, shopper) if shopper.kind == "user" else set()
        erasures = Erasures(manifest.erased).adding(shopper.kind, [shopper.id]).adding("anonymous", linked)
        return sweep(folder, manifest, erasures, kind=shopper.kind, clock=clock, engine=engine or LocalEngine())


def sweep(
    folder: Path,
    manifest: Manifest,
    erasures: Erasures,
    *,
    kind: str,
    clock: Clock,
    engine: Engine,
) -> Receipt:
    """Take what `erasures` name out of the files of `manifest`, and make that the log. The lock must be held."""
    known = {entry.digest for entry in manifest.erased}
    name = f"{manifest.generation + 1:08d}"
    try:
        events = list(engine.run(sweep_events, _tasks(folder, manifest.events, name, erasures)))
        quarantine = list(engine.run(sweep_quarantine, _tasks(folder, manifest.quarantine, name, erasures)))
        after = _after(folder, manifest, erasures, events, quarantine, engine)
        receipt = Receipt(
            at=to_datetime(clock.now()).isoformat(),
            kind=kind,
            digests=[entry.digest for entry in erasures.entries if entry.digest not in known],
            events=sum(swept.gone.total() for swept in events),
            blanked=sum(swept.blanked for swept in events),
            quarantined=sum(swept.gone.total() for swept in quarantine),
            files_rewritten=len(manifest.files() - after.files()),
            cache_files=sum(path.is_file() for path in (folder / CACHE).rglob("*")),
            fingerprint_before=manifest.summary.fingerprint,
            fingerprint=after.summary.fingerprint,
        )
        after = replace(after, receipts=(*manifest.receipts, _write_receipt(folder, name, receipt)))
        _remove_cache(folder)
        commit(folder, after)
    except BaseException:
        roll_back(folder)
        raise
    tidy(folder, after)
    _remove_cache(folder)  # of a reader that was at it in between
    return receipt


def _visitors_of(folder: Path, manifest: Manifest, shopper: Named) -> set[str]:
    """Anonymous ids that occur together with the user's id."""
    found: set[str] = set()
    for file in manifest.events:
        for piece in pieces(folder / file.path, ["user_id", "anonymous_id"]):
            own = pc.fill_null(pc.equal(piece["user_id"], shopper.id), False)
            found.update(pc.unique(piece["anonymous_id"].filter(own)).drop_null().to_pylist())
    return found


def _tasks(folder: Path, files: Sequence[DataFile], name: str, erasures: Erasures) -> list[SweepTask]:
    """One for each file, which is numbered by its place among them: numbers of other generations may meet here."""
    return [
        SweepTask(
            log=folder, file=file, path=f"{file.path.rpartition('/')[0]}/{name}-{place:06d}.parquet", erasures=erasures
        )
        for place, file in enumerate(files)
    ]


def _after(
    folder: Path,
    manifest: Manifest,
    erasures: Erasures,
    events: Sequence[Swept],
    quarantine: Sequence[Swept],
    engine: Engine,
) -> Manifest:
    left = tuple(swept.file for swept in events if swept.file is not None)
    gone = sum((swept.gone for swept in events), Counter[int]())
    refused = sum((swept.gone for swept in quarantine), Counter[int]())
    reasons = Counter(manifest.summary.quarantine_reasons)
    reasons.subtract(sum((swept.reasons for swept in quarantine), Counter[str]()))
    parts = tuple(
        replace(
            part,
            events=part.events - gone[part.number],
            quarantined=part.quarantined - refused[part.number],
            erased=part.erased + gone[part.number] + refused[part.number],
        )
        for part in manifest.parts
    )
    fingerprint = content_digest(manifest.settings, [(p.name, p.digest) for p in parts], erasures.entries)
    return replace(
        manifest,
        generation=manifest.generation + 1,
        parts=parts,
        events=left,
        quarantine=tuple(swept.file for swept in quarantine if swept.file is not None),
        erased=erasures.entries,
        summary=added_up(
            replace(manifest.summary, fingerprint=fingerprint),
            parts,
            left,
            names=names_of(folder, left, [], engine),
            reasons=(+reasons, manifest.summary.excluded_reasons),
        ),
    )


def _write_receipt(folder: Path, name: str, receipt: Receipt) -> str:
    path = f"{RECEIPTS}/{name}.json"
    with writing(folder / path):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(asdict(receipt), indent=1))
        sync(folder / path)
    return path


def _remove_cache(folder: Path) -> None:
    with writing(folder / CACHE):
        if (folder / CACHE).exists():
            shutil.rmtree(folder / CACHE)
