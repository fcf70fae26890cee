"""A real server in a process of its own, as a user would start it, with everything a test needs to hurt it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from serving import processes

_ROOT = Path(__file__).resolve().parents[2]
_DECOY = 'raise ImportError("this is not the package you are looking for")\n'


class LiveServer:
    """`python -m serving.serve` in a folder that itself holds packages called `serving`, `training` and `recsys`."""

    def __init__(self, bundle: Path, folder: Path, *overrides: str, port: int | None = None) -> None:
        self.port = port or processes.free_port()
        self.bundle = bundle
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.port}"
        if not any(one.startswith("store=") for one in overrides):
            overrides = ("store.path=store/events.db", *overrides)
        self._command = [
            sys.executable,
            "-P",
            "-m",
            "serving.serve",
            f"release.bundle={bundle}",
            f"server.port={self.port}",
            *overrides,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("serving", "training", "recsys"):
            decoy = folder / name / "__init__.py"
            decoy.parent.mkdir(parents=True, exist_ok=True)
            decoy.write_text(_DECOY)

    @property
    def pid(self) -> int:
        """The process that was started; all others descend from it."""
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return (self.folder / "output.txt").read_text()

    def start(self) -> None:
        """Start without waiting."""
        environment = os.environ | {"PYTHONPATH": str(_ROOT)}
        with (self.folder / "output.txt").open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self, timeout_s: float = 120) -> None:
        """Return once it can answer; fail with its output if it ends or takes too long."""
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._process.poll() is None:
            if "answering at" in self.output and ready(self.url):
                return
            time.sleep(0.2)
        raise AssertionError(f"the server is not ready (exit status {self._process.poll()}):\n{self.output}")

    def wait(self, timeout_s: float = 60) -> int:
        """The exit status, once it has ended by itself."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """Ask it to stop as Ctrl-C in a terminal does, and insist that nothing is left behind."""
        if self._process is None or self._process.poll() is not None:
            return
        family = processes.descendants(self.pid)
        os.killpg(self.pid, signal.SIGINT)
        status = self._process.wait(60)
        left = [one for one in family if one.alive()]
        assert status == 0, self.output
        assert not left, f"still running after the stop: {left}"
        assert processes.port_is_free("127.0.0.1", self.port)

    def kill(self) -> None:
        """End the server and all of Ray at once, without a chance to tidy up; only the janitor is spared."""
        family = [one for one in processes.descendants(self.pid) if not _is_janitor(one)]
        for one in [self.pid, *(one.pid for one in family)]:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.wait()
        processes.end(family, patience_s=10)


def _is_janitor(process: processes.Process) -> bool:
    try:
        return "serving.janitor" in Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
    except OSError:
        return False


def ready(url: str) -> bool:
    """Whether the service behind `url` says that it is ready."""
    try:
        return httpx.get(f"{url}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def tell(http: httpx.Client, event_type: str, item_id: str, **more: Any) -> None:
    """Send one event and insist on its acknowledgement."""
    answer = http.post("/v1/events", json={"type": event_type, "item_id": item_id, **more})
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 1


def ask(http: httpx.Client, **question: Any) -> dict[str, Any]:
    """Ask for a slate and insist on an undegraded answer."""
    answer = http.post("/v1/recommendations", json=question)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["degraded"] is None
    return body
