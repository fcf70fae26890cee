"""The exporter as a process beside the service: started with it, started again whenever it ends, stopped with it.

A process of its own, because writing files is work that answers would have to wait for. It is told its settings on its
input (they may hold a password, so not on its command line); the input stays open for as long as the service's first
process lives. Whatever becomes of that one, the exporter sees the end of its input, exports what is left, and ends.
Only one of them can write to a folder at a time (a lock that ends with its holder), so an old one that is still busy
and a new one do not meet.
"""

import asyncio
import json
import logging
import os
import signal
import site
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from hydra.utils import instantiate

from recsys.clock import SystemClock
from serving.exporting import Exporting, ExportSettings
from serving.janitor import MARK
from serving.watching.logs import configure

_log = logging.getLogger("attune.export")
_SOON_S = 0.5
_WELL_S = 30.0
"""Who lived for so long did not fail at the start."""
_NICE = 10


class Background:
    """Keeps one exporter running inside of the `with` block.

    Args:
        store: an OnlineStore, `_target_` and its settings.
        settings: where events go, and how often.
        patience_s: how long its last round may take before it is killed; what it has not written then is written by
            the next one.
        longest_pause_s: how soon, at the latest, an exporter that ended is followed by the next; the first pauses are
            shorter.
    """

    def __init__(
        self,
        store: Mapping[str, Any],
        settings: ExportSettings,
        *,
        log_format: str = "plain",
        patience_s: float = 30.0,
        longest_pause_s: float = 10.0,
    ) -> None:
        told = asdict(settings) | {"folder": str(settings.folder.absolute())}
        self._input = json.dumps({"store": dict(store), "export": told, "log_format": log_format}).encode() + b"\n"
        self._patience_s = patience_s
        self._longest_pause_s = longest_pause_s
        self._stopping = threading.Event()
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="exporter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._turn:
            self._stopping.set()
            child = self._child
        if child is not None:
            _end_input(child)
            try:
                child.wait(self._patience_s)
            except subprocess.TimeoutExpired:
                _log.warning("the exporter (%d) was killed: it took more than %g s", child.pid, self._patience_s)
                child.kill()
        self._thread.join()

    def _keep(self) -> None:
        pause_s = first_s = min(_SOON_S, self._longest_pause_s)
        while (child := self._started()) is not None:
            began = time.monotonic()
            status = child.wait()
            _end_input(child)
            if self._stopping.is_set():
                return
            if time.monotonic() - began > _WELL_S:
                pause_s = first_s
            _log.error("the exporter (%d) ended with status %d; another one in %g s", child.pid, status, pause_s)
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, self._longest_pause_s)

    def _started(self) -> "subprocess.Popen[bytes] | None":
        with self._turn:
            if self._stopping.is_set():
                return None
            self._child = child = subprocess.Popen(
                [sys.executable, "-P", "-m", "serving.background"],
                stdin=subprocess.PIPE,
                env=_environment(),
                start_new_session=True,  # a Ctrl-C is for the service, which ends the input
            )
        try:
            assert child.stdin is not None
            child.stdin.write(self._input)
            child.stdin.flush()
        except BrokenPipeError:
            pass  # it is gone already, and waiting for it says so
        return child


def main() -> None:
    """The exporter's process: settings on the first line of the input, the end of the input is the end."""
    said = json.loads(sys.stdin.buffer.readline())
    configure(said["log_format"], handlers=[logging.StreamHandler()])
    os.nice(_NICE)
    pa.set_cpu_count(1)
    settings = ExportSettings(**said["export"] | {"folder": Path(said["export"]["folder"])})
    asyncio.run(_run(Exporting(instantiate(said["store"]), settings, SystemClock())))


async def _run(exporting: Exporting) -> None:
    stop = asyncio.Event()
    loop, source = asyncio.get_running_loop(), sys.stdin.fileno()

    def look() -> None:
        if not os.read(source, 1):
            loop.remove_reader(source)
            stop.set()

    loop.add_reader(source, look)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await exporting.run(stop)


def _end_input(child: "subprocess.Popen[bytes]") -> None:
    try:
        assert child.stdin is not None
        child.stdin.close()
    except BrokenPipeError:
        pass


def _environment() -> dict[str, str]:
    """This process's own, without the mark by which the server ends everything of its own: the exporter goes on until
    what came in last is in files, and ends by itself."""
    return {name: value for name, value in os.environ.items() if name != MARK} | {"PYTHONPATH": _import_path()}


def _import_path() -> str:
    """Where this very package came from, first, unless the process looks there anyway."""
    ours = str(Path(__file__).resolve().parent.parent)
    places = [*([] if ours in site.getsitepackages() else [ours]), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(filter(None, places))


if __name__ == "__main__":
    main()
