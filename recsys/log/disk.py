"""What keeps a log whole on the disk: one writer at a time, files replaced in one step, errors that name the remedy."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recsys.errors import ConfigError

CACHE = "cache"
"""Folder in the log for what readers derive from it."""
LOCK = ".lock"
WORK = ".work"
"""Folder in the log for what is only needed while writing."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the log in `folder`, made if missing, against other writers; readers are not held up.

    The lock goes with the process that holds it, however that ends.

    Raises:
        ConfigError: another process is writing there, or nothing can be written there.
    """
    made = not folder.exists()
    descriptor = _lock(folder)
    try:
        yield
    finally:
        if not _holds_a_log(folder):  # the first write failed: leave nothing behind
            (folder / LOCK).unlink(missing_ok=True)
            if made:
                with suppress(OSError):
                    folder.rmdir()
        os.close(descriptor)


def _lock(folder: Path) -> int:
    path = folder / LOCK
    while True:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise ConfigError(
                f"another process is writing the event log {folder}; wait until it is done, or end it"
            ) from error
        try:
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # whoever held it has removed the folder with it: make another


def _holds_a_log(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("manifest.json", "summary.json"))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the disk refuses while writing at `path` into a `ConfigError` with the remedy."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"the event log cannot be written to {path} ({error.strerror or error}); set outputs=... to a folder "
            "that can be written and has room"
        ) from error


def sync(path: Path) -> None:
    """Wait until a file or the entries of a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, text: str) -> None:
    """Write a file so that it holds either what it held or `text`, whatever happens; it is on the disk then."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)
    sync(path.parent)
