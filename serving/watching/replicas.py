"""All replicas of a machine, seen from any of them: a scrape or a look must not show one of them by chance.

A request through the proxy reaches some replica, nobody knows which. So each replica answers its siblings on a socket
file in a folder that they share, and whoever is asked from outside asks all of them. Nothing is kept in files or sent
about while nobody looks, and a replica whose event loop hangs still tells, from a thread of its own.

Each takes the lowest number that no living one holds (a lock that ends with the process, whatever ends it). So a
replica that takes over from a dead one goes on under its number: series stay few, and to Prometheus its counters were
reset, which is what happened.
"""

import contextlib
import fcntl
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from recsys.errors import ConfigError

_log = logging.getLogger("attune.watching")
Report = dict[str, Any]
"""What a replica tells of itself; JSON."""


class Replicas:
    """This replica among those of its machine.

    Args:
        folder: where their sockets are, for this user alone; None for a replica that has no siblings.
        tell: makes this replica's report; called in another thread.
        timeout_s: how long a sibling is waited for.
    """

    def __init__(self, folder: Path | None, tell: Callable[[], Report], *, timeout_s: float = 2.0) -> None:
        self.number = 0
        self._timeout_s = timeout_s
        self._folder = folder
        self._tell = tell
        self._lock: int | None = None
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Take a number and begin to answer; ConfigError where the folder is not ours alone."""
        if self._folder is None:
            return
        private(self._folder)
        self.number, self._lock = _first_free(self._folder)
        path = self._folder / f"{self.number}.sock"
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._serve, args=(self._socket,), name="replicas", daemon=True).start()

    def close(self) -> None:
        """Answer no more and give the number back."""
        if self._folder is None or self._socket is None or self._lock is None:
            return
        (self._folder / f"{self.number}.sock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # wakes the thread that waits in accept
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        os.close(self._lock)
        self._socket = self._lock = None

    def reports(self) -> list[Report]:
        """What each living replica of the machine tells, this one included, by number; blocks for up to some seconds.

        One that does not answer in time is left out, and a line in the log says so.
        """
        own = self._tell() | {"replica": self.number}
        others = [] if self._folder is None else list(self._of_others(self._folder))
        return sorted([own, *others], key=lambda report: int(report["replica"]))

    def _of_others(self, folder: Path) -> Iterator[Report]:
        for path in sorted(folder.glob("*.sock")):
            number = int(path.stem)
            if number == self.number:
                continue
            try:
                yield _asked(path, self._timeout_s) | {"replica": number}
            except (ConnectionRefusedError, FileNotFoundError):  # it died; its number is free for the next one
                continue
            except (OSError, ValueError) as failure:
                _log.warning("replica %d does not tell of itself: %s", number, failure)

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                caller, _ = listening.accept()
            except OSError:
                return
            with caller, contextlib.suppress(OSError):
                caller.settimeout(self._timeout_s)
                caller.sendall(json.dumps(self._tell()).encode())


def private(folder: Path) -> None:
    """Make the folder, for this user alone; ConfigError where somebody else might read or write in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigError(
            f"{folder} belongs to another user or is open to others (mode {found.st_mode & 0o777:o}); remove it"
        )


def _first_free(folder: Path) -> tuple[int, int]:
    """The lowest number that no living process holds, and the lock on it."""
    for number in count():
        lock = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return number, lock
    raise AssertionError("numbers do not end")


def _asked(path: Path, timeout_s: float) -> Report:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(timeout_s)
        asking.connect(str(path))
        parts = []
        while part := asking.recv(1 << 16):
            parts.append(part)
    told: Report = json.loads(b"".join(parts))
    return told
