"""Writes a source into a Parquet event log: incremental, larger than memory, whole or not at all.

Layout of a log folder:

| path | holds |
|---|---|
| `manifest.json` | what the log is: see `recsys/log/manifest.py`; no other file counts unless it is named there |
| `events/date=YYYY-MM-DD/*.parquet` | the events of a date (UTC) by `EVENT_SCHEMA`, and the column `part`; sorted by shopper, instant and event id, through all files of the date in the order of the manifest |
| `items/*.parquet` | what is known of the items, by `ITEM_SCHEMA` |
| `quarantine/*.parquet` | refused rows by `QUARANTINE_SCHEMA`, and the column `part` |
| `receipts/*.json` | what was erased and when, see `recsys/log/erase.py` |
| `cache/` | what readers derive; may be removed at any time |
| `.lock`, `.work/` | held while writing; left over only where a writer was killed, removed by the next |
"""  # noqa: E501 - a table

import re
from collections.abc import Callable
from pathlib import Path

from recsys.clock import Clock, SystemClock
from recsys.errors import ConfigError
from recsys.log.build import build
from recsys.log.disk import locked
from recsys.log.engine import Engine, LocalEngine
from recsys.log.erase import sweep
from recsys.log.erasures import Erasures
from recsys.log.honour import KnowsErased, honour
from recsys.log.manifest import MANIFEST, Erased, commit, read_manifest
from recsys.log.plan import Plan
from recsys.log.summary import LogSummary
from recsys.log.tidy import refuse_foreign, roll_back, tidy
from recsys.protocols import Source

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def log_folder(source: Source, outputs: Path) -> Path:
    """Where a source's log lies below `outputs`; other settings of the source have another folder.

    Raises:
        ConfigError: the source's name cannot be part of a folder's.
    """
    if not _NAME.fullmatch(source.name):
        raise ConfigError(
            f"the source is called {source.name!r}, which cannot be the name of a folder; set data.name=... to letters "
            "of English, digits, '-', '_' and '.', which does not come first"
        )
    return outputs / "log" / f"{source.name}-{source.fingerprint()}"


def write_log(
    source: Source,
    folder: Path,
    *,
    engine: Engine | None = None,
    tell: Callable[[str], None] = lambda _: None,
    clock: Clock | None = None,
    rebuild: bool = False,
) -> LogSummary:
    """Bring the log in `folder` up to what `source` has to offer.

    Parts that the log holds are not read again. If there are only further parts, they are added, and only the files of
    the dates that they touch are written anew. Parts that are gone are kept: raw files may be archived. If a part or
    the source's settings changed, the log is written from scratch. A log that is up to date is left as it is. What was
    erased stays erased, here and in logs of the same source that are written beside this one; whom the source says that
    it erased (`recsys/log/honour.py`) is taken out.

    Args:
        source: where the events come from.
        folder: see the top of this file; made if missing.
        engine: who does the work; two threads of this process if None.
        tell: is told in a sentence what is done and why, where that is not plain.
        clock: dates the receipts of erasures; the system's if None.
        rebuild: write the log from scratch, from what `source` has now and nothing else; erased ids stay erased.

    Raises:
        DataError: rows got lost on the way, nothing was accepted, the log there cannot be read, or a part changed and
            the log holds parts that the source does not have any more.
        ConfigError: the folder cannot be written, or another process is writing it, or it holds what is no log.
    """
    workers, now = engine or LocalEngine(), clock or SystemClock()
    summary = _up_to_date(source, folder, engine=workers, tell=tell, clock=now, rebuild=rebuild)
    if isinstance(source, KnowsErased) and honour(source.erased(), folder, engine=workers, clock=now, tell=tell):
        return read_manifest(folder).summary
    return summary


def _up_to_date(
    source: Source, folder: Path, *, engine: Engine, tell: Callable[[str], None], clock: Clock, rebuild: bool
) -> LogSummary:
    parts = source.parts()
    plan = Plan.of(source, parts, folder, rebuild=rebuild)
    if plan.kept:
        tell(
            f"{len(plan.kept)} parts of the log are not among the files given; they are kept (rebuild=true writes the "
            "log anew from what is given)"
        )
    if plan.base is not None and plan.nothing_new:
        return plan.base.summary
    if plan.old is None:
        refuse_foreign(folder)
    with locked(folder):
        plan = Plan.of(source, parts, folder, rebuild=rebuild)  # another writer may have been quicker
        if plan.base is not None and plan.nothing_new:
            return plan.base.summary
        tidy(folder, plan.old)
        if plan.reason:
            tell(f"{folder.name} is written from scratch: {plan.reason}")
        try:
            _write(source, plan, folder, engine=engine, clock=clock, tell=tell)
        except BaseException:
            roll_back(folder)
            raise
        return read_manifest(folder).summary


def _write(
    source: Source, plan: Plan, folder: Path, *, engine: Engine, clock: Clock, tell: Callable[[str], None]
) -> None:
    erasures = Erasures(plan.old.erased) if plan.old else _erased_elsewhere(source, folder)
    manifest, linked = build(source, plan, folder, engine=engine, erasures=erasures)
    if linked:
        tell("the new rows link further visitors to erased users: they are erased, too")
        more = erasures.adding("anonymous", linked)
        sweep(folder, manifest, more, kind="linked", clock=clock, engine=engine)
    else:
        commit(folder, manifest)
        tidy(folder, manifest)


def _erased_elsewhere(source: Source, folder: Path) -> Erasures:
    """What was erased from logs of the same source with other settings, which lie beside this one."""
    entries: dict[str, Erased] = {}
    for manifest in sorted(folder.parent.glob(f"{source.name}-*/{MANIFEST}")):
        other = read_manifest(manifest.parent)
        if other.summary.source == source.name:
            entries |= {entry.digest: entry for entry in other.erased}
    return Erasures(tuple(entries.values()))
