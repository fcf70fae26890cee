"""Stands between Ray Serve and HAProxy for one moment: corrects the configuration, then becomes HAProxy.

Ray Serve writes a configuration that listens for statistics and metrics on all interfaces, says "Internal Server
Error" as plain text, and leaves HAProxy running when its parent is killed. Ray offers no setting for any of the three,
but it starts whatever `RAY_SERVE_HAPROXY_BINARY_PATH` names. This file is run by path, needs only the standard
library, and keeps its process id, by which Ray recognises HAProxy.

    python -IS haproxy_guard.py HAPROXY FOLDER METRICS STATISTICS [HAProxy's own arguments]

METRICS and STATISTICS are addresses as HAProxy writes them (`127.0.0.1:9101`), or `-` for a socket file that nobody
outside this machine can reach.
"""

import ctypes
import os
import re
import signal
import sys
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL = 1
_SECTIONS = {"frontend prometheus": 0, "listen stats": 1}


def main() -> None:
    """Correct the configuration file and replace this process by HAProxy."""
    binary, folder, metrics, statistics, *arguments = sys.argv[1:]
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("haproxy_guard: Ray Serve's proxy manager is gone already")
    config = Path(arguments[arguments.index("-f") + 1])
    config.write_text(corrected(config.read_text(), folder=folder, addresses=(metrics, statistics)))
    os.execv(binary, [binary, *arguments])


def corrected(config: str, *, folder: str, addresses: tuple[str, str]) -> str:
    """The configuration with private statistics and metrics, and with problem bodies for its own errors."""
    lines: list[str] = []
    section: int | None = None
    for line in config.splitlines():
        if line and not line[0].isspace():
            section = _SECTIONS.get(line.strip())
        if section is not None and line.strip().startswith("bind "):
            address = addresses[section]
            line = f"    bind {f'unix@{folder}/{section}' if address == '-' else address}"
        lines.append(re.sub(r"^(\s*errorfile 50[234]) .*$", rf"\1 {folder}/unavailable.http", line))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
