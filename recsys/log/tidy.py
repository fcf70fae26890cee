"""Removes from a log folder what no manifest names: leftovers of writers that were killed, files that were replaced."""

import re
import shutil
from pathlib import Path

from recsys.errors import ConfigError
from recsys.log.disk import LOCK, WORK
from recsys.log.manifest import MANIFEST, OLD_SUMMARY, Manifest, read_manifest, version_of

_ROOMS = ("events", "items", "quarantine", "receipts")
_OURS = re.compile(r"\d{8}(-\d+)?\.(parquet|json)")
"""How files are named since there are manifests; without one, others belong to a log of an earlier release."""
_OLD = re.compile(r"part-\d+\.parquet")
"""How that named its files."""
_DATE = re.compile(r"date=-?\d+-\d\d-\d\d")
_WORKING = re.compile(r"(intake|known|names|dates)-[+-]?\d+|(sieve|dropped|dropped-known)\.npy")


def refuse_foreign(folder: Path) -> None:
    """Raises ConfigError if `folder` holds anything but a log, or what a writer left that was killed."""
    if not folder.is_dir() or version_of(folder) is not None:
        return
    for path in _below(folder):
        if not _may_be_ours(path.relative_to(folder).parts):
            raise ConfigError(
                f"{folder} holds no event log but {path.relative_to(folder)}; name a folder that is empty or does not "
                "exist yet, or move away what lies there"
            )


def _below(folder: Path) -> list[Path]:
    try:
        return sorted(folder.rglob("*"))
    except FileNotFoundError:  # a writer is at it: the lock will say so
        return []


def _may_be_ours(parts: tuple[str, ...]) -> bool:
    top, *below = parts
    if top == WORK:
        return not below or _WORKING.fullmatch(below[0]) is not None
    if not below:
        return top in (*_ROOMS, LOCK, f"{MANIFEST}.new")
    dated = top == "events" and _DATE.fullmatch(below[0]) is not None
    names = below[1:] if dated else below
    return top in _ROOMS and len(names) < 2 and all(_OURS.fullmatch(name) for name in names)


def tidy(folder: Path, manifest: Manifest | None) -> None:
    """Leave only what `manifest` names; where it is None, only what an earlier release wrote."""
    shutil.rmtree(folder / WORK, ignore_errors=True)
    (folder / f"{MANIFEST}.new").unlink(missing_ok=True)
    wanted = manifest.files() if manifest else set()
    for room in _ROOMS:
        for path in [*sorted((folder / room).rglob("*"), reverse=True), folder / room]:
            if path.is_dir():
                if not any(path.iterdir()) and (path.name == room or _DATE.fullmatch(path.name)):
                    path.rmdir()
            elif path.relative_to(folder).as_posix() not in wanted and _is_ours(path.name, manifest):
                path.unlink(missing_ok=True)
    if manifest is not None:
        for name in (OLD_SUMMARY, "items.parquet", "quarantine.parquet"):
            (folder / name).unlink(missing_ok=True)


def _is_ours(name: str, manifest: Manifest | None) -> bool:
    return bool(_OURS.fullmatch(name) or (manifest and _OLD.fullmatch(name)))


def roll_back(folder: Path) -> None:
    """After an error: leave what the manifest on the disk names, whether the error came before a new one or after."""
    tidy(folder, read_manifest(folder) if (folder / MANIFEST).exists() else None)
