"""What the operating system knows about our processes and ports, read from /proc; elsewhere the answers are empty."""

import os
import random
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"
_SELDOM_GIVEN = range(20_000, 30_000)
"""Below what systems take for connections and Ray Serve for replicas, above what Ray takes for workers."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process; `born` (clock ticks since boot) tells it from a later one that got the same number."""

    pid: int
    parent: int
    born: int
    name: str

    def alive(self) -> bool:
        """Whether this very process still runs."""
        now = _read(self.pid)
        return now is not None and now.born == self.born


def descendants(of: int) -> list[Process]:
    """All processes that `of` started, directly or through others, parents before children."""
    everyone = [process for entry in _numbers() if (process := _read(entry)) is not None]
    found: list[Process] = []
    parents = {of}
    while children := [process for process in everyone if process.parent in parents]:
        found += children
        parents = {child.pid for child in children}
    return found


def marked(name: str, folder: str) -> list[Process]:
    """All processes that were started with the environment variable `name` set to `folder`.

    Some of Ray's helpers wipe their environment when they rename themselves; these are known by an open file below
    `folder`.
    """
    mark = f"{name}={folder}".encode()
    everyone = (process for pid in _numbers() if (process := _read(pid)) is not None)
    return [
        one
        for one in everyone
        if mark in _environment(one.pid)
        or (one.name.startswith("ray::") and any(link.startswith(f"{folder}/") for link in _open_files(one.pid)))
    ]


def end(processes: Iterable[Process], *, patience_s: float) -> list[Process]:
    """Wait until these processes are gone; kill those that outlast `patience_s`. Returns the ones that were killed."""
    deadline = time.monotonic() + patience_s
    left = list(processes)
    while (left := [process for process in left if process.alive()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return left


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment, and that the system gives to nobody who does not ask for it: one of
    its own choice could belong to a connection of anybody's a moment later."""
    for port in random.sample(_SELDOM_GIVEN, 100):
        if port_is_free(host, port):
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        chosen: int = probe.getsockname()[1]
        return chosen


def port_is_free(host: str, port: int) -> bool:
    """Whether one could listen on `host`:`port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


def port_holder(port: int) -> Process | None:
    """The process that listens on `port`, if this user may know."""
    inodes = {inode for number, _, inode in _listening() if number == port}
    for pid in _numbers():
        if inodes & set(_sockets(pid)):
            return _read(pid)
    return None


def listening(pids: Iterable[int]) -> set[tuple[str, int]]:
    """Addresses (as /proc spells them, in hexadecimal) and ports on which these processes listen."""
    mine = {inode for pid in pids for inode in _sockets(pid)}
    return {(address, port) for port, address, inode in _listening() if inode in mine}


def _numbers() -> list[int]:
    try:
        return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    except OSError:
        return []


def _read(pid: int) -> Process | None:
    try:
        status = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    name, rest = status[status.index("(") + 1 :].rsplit(")", 1)
    fields = rest.split()
    if fields[0] == "Z":
        return None
    return Process(pid=pid, parent=int(fields[1]), born=int(fields[19]), name=name)


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _listening() -> Iterator[tuple[int, str, str]]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING:
                address, port = fields[1].split(":")
                yield int(port, 16), address, fields[9]


def _sockets(pid: int) -> Iterator[str]:
    return (link[8:-1] for link in _open_files(pid) if link.startswith("socket:["))


def _open_files(pid: int) -> Iterator[str]:
    try:
        entries = list((_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            yield str(entry.readlink())
        except OSError:
            continue
