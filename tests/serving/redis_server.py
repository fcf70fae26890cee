"""A real redis-server for tests, which may be stopped, killed, frozen and started again."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from serving.processes import free_port

PASSWORD = "open-sesame-2718"
BINARIES = ("redis-server", "valkey-server")


def binary() -> str:
    """Where the server is; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, BINARIES)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BINARIES)} is on this machine; install Redis 7 or later, or Valkey")
    return found


class RedisServer:
    """One server in a folder of its own, as durable as can be unless `settings` say otherwise."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._settings = {"appendonly": "yes", "appendfsync": "always", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """With the password."""
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """For looking at it and turning its settings."""
        return redis.Redis(port=self.port, password=PASSWORD, decode_responses=True)

    def start(self) -> None:
        """Return once it has read its data and answers."""
        always = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), "requirepass": PASSWORD}
        said = {**always, "save": "", "repl-diskless-sync-delay": "0", **self._settings}
        arguments = [part for name, value in said.items() for part in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([binary(), *arguments], stdout=log)
        deadline = time.monotonic() + 20
        with self.client() as client:
            while True:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                try:
                    client.ping()
                except redis.ConnectionError:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                else:
                    return

    def kill(self) -> None:
        """At once, in the middle of whatever it does."""
        self.send(signal.SIGKILL)
        self._running.wait()

    def send(self, number: signal.Signals) -> None:
        """Any signal."""
        os.kill(self._running.pid, number)

    def stop(self) -> None:
        """Leave nothing running."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process
