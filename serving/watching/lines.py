"""Where lines of the replicas' logs arrive: a socket file of the process that started the server.

A line travels behind its length in bytes, because a traceback is one line to a log and many to a terminal.
"""

import contextlib
import socket
import struct
import threading
from pathlib import Path
from typing import Self, TextIO

_LENGTH = struct.Struct("!I")


def packed(line: str) -> bytes:
    """A line as it travels."""
    text = line.encode(errors="replace")
    return _LENGTH.pack(len(text)) + text


class LineReceiver:
    """Writes every line that is sent to `path` to a stream, whole; between `open` and `close`."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path = path
        self._stream = stream
        self._writing = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._threads = [threading.Thread(target=self._accept, name="replicas-log", daemon=True)]

    def open(self) -> Self:
        """Begin to listen."""
        self._socket.bind(str(self._path))
        self._socket.listen()
        self._threads[0].start()
        return self

    def close(self, *, patience_s: float = 1.0) -> None:
        """Write what has arrived, then stop; whoever is still connected after `patience_s` is not waited for."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # wakes the thread that waits in accept
            self._socket.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for thread in self._threads[1:]:
            thread.join(patience_s)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                replica, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._read, args=(replica,), name="replica-log", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _read(self, replica: socket.socket) -> None:
        with replica, replica.makefile("rb") as arriving, contextlib.suppress(OSError):
            while len(length := arriving.read(_LENGTH.size)) == _LENGTH.size:
                line = arriving.read(*_LENGTH.unpack(length))
                with self._writing:
                    self._stream.write(f"{line.decode(errors='replace')}\n")
                    self._stream.flush()
