"""Stands between Ray Serve and HAProxy for one moment: corrects the configuration, then becomes HAProxy.

Ray Serve writes a configuration that listens for statistics and metrics on all interfaces, answers errors as plain text
or HTML, does not name requests (so that nobody could tell one that HAProxy repeats), waits without end for the headers
of a request (so that a few slow clients hold all connections), and leaves HAProxy running when its parent is killed.
Ray offers no setting for any of these, but it starts whatever `RAY_SERVE_HAPROXY_BINARY_PATH` names. This file is run
by path, needs only the standard library, and keeps its process id, by which Ray recognises HAProxy.

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
_ANSWERED = (400, 408, 500, 501, 502, 503, 504)
"""Statuses with a file FOLDER/STATUS.http; see serving/proxy_errors.py."""
_HEADERS_WITHIN = "10s"
_ATTEMPT = "x-attune-attempt"
"""Names a request, and what HAProxy sends of it to a second replica; see ATTEMPT in serving/api/routes.py."""
_RESAID = (
    "    http-response return status {status} errorfile {folder}/{status}.http "
    "if {{ status {status} }} !{{ res.hdr(content-type) -m beg application/problem+json }}"
)
"""Ray Serve itself answers, before the application, when its queue is full or a replica fails: as plain text."""
_REPLACED = re.compile(
    r"\s*(errorfile \d{3}|timeout http-request|http-response return status \d{3} errorfile"
    rf"|http-request set-header {_ATTEMPT}) "
)
_LOGGED = '"%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %HM"'
"""As `option httplog`, without the path: a path may hold the id of a shopper."""
_NOBODY_THERE = re.compile(r"^(\s*http-request return status) 404 content-type text/plain .*$")


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
    """The configuration with private statistics and metrics, problem bodies for its errors, and an end to waiting."""
    lines: list[str] = []
    section: int | None = None
    for line in config.splitlines():
        if _REPLACED.match(line):
            continue
        if line and not line[0].isspace():
            section = _SECTIONS.get(line.strip())
        if section is not None and line.strip().startswith("bind "):
            address = addresses[section]
            line = f"    bind {f'unix@{folder}/{section}' if address == '-' else address}"
        if line.strip() == "option httplog":
            line = f"    log-format {_LOGGED}"
        lines.append(_NOBODY_THERE.sub(rf"\1 503 errorfile {folder}/503.http", line))
        if line.strip() == "frontend http_frontend":
            lines.append(f"    http-request set-header {_ATTEMPT} %[uuid()]")
        if line.strip() == "defaults":
            lines.append(f"    timeout http-request {_HEADERS_WITHIN}")
            lines += [f"    errorfile {status} {folder}/{status}.http" for status in _ANSWERED]
        if line.startswith("backend "):
            lines += [_RESAID.format(folder=folder, status=status) for status in (500, 503)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
