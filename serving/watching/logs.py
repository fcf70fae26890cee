"""Lines of the log: JSON for machines or plain for people, each with the id of the request that it belongs to.

What is logged names items, releases, files and settings, never shoppers, keys or bodies.
"""

import json
import logging
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from serving.watching.lines import packed
from serving.watching.request import CURRENT

_PATIENCE_S = 0.1


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with time (UTC), level, logger, message and, where there are any, request id and traceback."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if request_id := CURRENT.get():
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """For people: time, level, logger, message, request id."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without traceback."""
        line = super().formatMessage(record)
        return f"{line} [{request_id}]" if (request_id := CURRENT.get()) else line


FORMATS: Mapping[str, Callable[[], logging.Formatter]] = {"plain": PlainLines, "json": JsonLines}
"""What `app.log_format` may be."""


class ToServer(logging.Handler):
    """Sends lines to the process that started the server, which writes them where people and containers look; where it
    does not listen (any more), they go to this process' own standard error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)
        self._connected: socket.socket | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """One line; nobody waits long for a log, so one that finds no room goes elsewhere, too."""
        try:
            line = self.format(record)
            try:
                self._server().sendall(packed(line))
            except OSError:
                self._leave()
                sys.stderr.write(f"{line}\n")
        except Exception:  # noqa: BLE001 - as logging's own handlers do
            self.handleError(record)

    def close(self) -> None:
        """Let go of the connection."""
        self._leave()
        super().close()

    def _leave(self) -> None:
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _server(self) -> socket.socket:
        if self._connected is None:
            connecting = socket.socket(socket.AF_UNIX)
            connecting.settimeout(_PATIENCE_S)
            try:
                connecting.connect(self._path)
            except OSError:
                connecting.close()
                raise
            self._connected = connecting
        return self._connected


class Troubles(logging.Handler):
    """Remembers the latest warnings and errors."""

    def __init__(self, remembered: int = 20) -> None:
        super().__init__(logging.WARNING)
        self.lines: deque[str] = deque(maxlen=remembered)
        self.setFormatter(PlainLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the line, without its traceback."""
        self.lines.append(self.format(logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})))


def dress(log_format: str) -> None:
    """Have everything that this process logs written in one format of `FORMATS`, wherever it goes."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(FORMATS[log_format]())


def configure(log_format: str, *, level: str = "INFO", handlers: Iterable[logging.Handler]) -> None:
    """Have everything that Attune logs in this process written by these handlers, in one format of `FORMATS`."""
    log = logging.getLogger("attune")
    for handler in handlers:
        if handler.formatter is None:
            handler.setFormatter(FORMATS[log_format]())
        log.addHandler(handler)
    log.setLevel(level)
    log.propagate = False
