"""Where lines of the replicas' logs arrive: a socket file of the process that started the server."""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Self, TextIO

_LARGEST = 1 << 18


class LineReceiver:
    """Writes every line that is sent to `path` to a stream, whole; between `open` and `close`."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path = path
        self._stream = stream
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._run, name="replicas-log", daemon=True)

    def open(self) -> Self:
        """Begin to listen."""
        self._socket.bind(str(self._path))
        self._thread.start()
        return self

    def close(self) -> None:
        """Write what has arrived, then stop."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self._path))
            self._thread.join()
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while line := self._socket.recv(_LARGEST):
            self._stream.write(f"{line.decode(errors='replace')}\n")
            self._stream.flush()
