"""Removes from a log folder what no manifest names: leftovers of writers that were killed, files that were replaced."""

import re
import shutil
from pathlib import Path

from recsys.log.disk import WORK
from recsys.log.manifest import MANIFEST, OLD_SUMMARY, Manifest, read_manifest

_ROOMS = ("events", "items", "quarantine", "receipts")
_OURS = re.compile(r"\d{8}(-\d+)?\.(parquet|json)")
"""How files are named since there are manifests; without one, others belong to a log of an earlier release."""


def tidy(folder: Path, manifest: Manifest | None) -> None:
    """Leave only what `manifest` names; where it is None, only what an earlier release wrote."""
    shutil.rmtree(folder / WORK, ignore_errors=True)
    (folder / f"{MANIFEST}.new").unlink(missing_ok=True)
    wanted = manifest.files() if manifest else set()
    for room in _ROOMS:
        for path in [*sorted((folder / room).rglob("*"), reverse=True), folder / room]:
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.relative_to(folder).as_posix() not in wanted and (manifest or _OURS.fullmatch(path.name)):
                path.unlink(missing_ok=True)
    if manifest is not None:
        for name in (OLD_SUMMARY, "items.parquet", "quarantine.parquet"):
            (folder / name).unlink(missing_ok=True)


def roll_back(folder: Path) -> None:
    """After an error: leave what the manifest on the disk names, whether the error came before a new one or after."""
    tidy(folder, read_manifest(folder) if (folder / MANIFEST).exists() else None)
