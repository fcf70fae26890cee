"""The correction of the proxy's configuration, on an excerpt of what Ray Serve writes."""

import json
from pathlib import Path

from serving import proxy_errors
from serving.api.routes import ATTEMPT
from serving.haproxy_guard import corrected

_WRITTEN = """global
    stats timeout 30s
defaults
    timeout client 60s
    timeout http-request 3600s
    errorfile 502 /tmp/x/500.http
    errorfile 503 /tmp/x/500.http
    errorfile 504 /tmp/x/500.http
frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind *:8000
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path \'%[path]\' not found. Ping ..."
listen stats
  bind *:8404
  stats enable
"""


def test_metrics_and_statistics_move_to_loopback_and_the_front_stays_where_it_is() -> None:
    lines = corrected(_WRITTEN, folder="/f", addresses=("127.0.0.1:9101", "127.0.0.1:8404")).splitlines()
    assert [line.strip() for line in lines if "bind" in line] == [
        "bind 127.0.0.1:9101",
        "bind *:8000",
        "bind 127.0.0.1:8404",
    ]


def test_without_a_port_they_move_to_socket_files() -> None:
    lines = corrected(_WRITTEN, folder="/f", addresses=("-", "-")).splitlines()
    assert [line.strip() for line in lines if "bind" in line] == ["bind unix@/f/0", "bind *:8000", "bind unix@/f/1"]


def test_the_proxys_own_errors_become_problem_bodies() -> None:
    lines = corrected(_WRITTEN, folder="/f", addresses=("-", "-")).splitlines()
    assert [line.strip() for line in lines if "errorfile" in line] == [
        *(f"errorfile {status} /f/{status}.http" for status in (400, 408, 500, 501, 502, 503, 504)),
        *(
            f"http-response return status {status} errorfile /f/{status}.http "
            f"if {{ status {status} }} !{{ res.hdr(content-type) -m beg application/problem+json }}"
            for status in (500, 503)
        ),
        "http-request return status 503 errorfile /f/503.http",
    ]


def test_headers_that_do_not_come_are_waited_for_ten_seconds() -> None:
    lines = corrected(_WRITTEN, folder="/f", addresses=("-", "-")).splitlines()
    assert [line.strip() for line in lines if "timeout" in line] == [
        "stats timeout 30s",
        "timeout http-request 10s",
        "timeout client 60s",
    ]


def test_everything_else_stays_as_it_was() -> None:
    def others(lines: list[str]) -> list[str]:
        return [
            line for line in lines if not {"bind", "errorfile", "http-request", "http-response"} & set(line.split())
        ]

    after = corrected(_WRITTEN, folder="/f", addresses=("-", "-")).splitlines()
    assert others(after) == others(_WRITTEN.splitlines())


def test_every_status_that_is_named_has_a_file_with_a_problem_of_its_own_length(tmp_path: Path) -> None:
    proxy_errors.write(tmp_path)
    lines = corrected(_WRITTEN, folder=str(tmp_path), addresses=("-", "-")).splitlines()
    files = [Path(line.split()[-1]) for line in lines if line.strip().startswith("errorfile")]
    assert sorted(files) == sorted(tmp_path.iterdir())
    for file in files:
        head, body = file.read_bytes().split(b"\r\n\r\n")
        status = int(head.split()[1])
        assert b"Content-Type: application/problem+json" in head
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)["status"] == status


def test_correcting_twice_changes_nothing_more() -> None:
    once = corrected(_WRITTEN, folder="/f", addresses=("127.0.0.1:9101", "-"))
    assert corrected(once, folder="/f", addresses=("127.0.0.1:9101", "-")) == once


def test_no_line_of_the_proxys_log_names_a_path() -> None:
    """A path may hold the id of a shopper; `%HM` is the method, `%r`, `%HP`, `%HU` and `%HQ` would tell it."""
    lines = corrected("defaults\n    log global\n    option httplog\n", folder="/f", addresses=("-", "-")).splitlines()
    [logged] = [line for line in lines if "log-format" in line]
    assert "%ST" in logged
    assert not {"%r", "%HP", "%HPO", "%HU", "%HQ", "%{+Q}r", "%hr", "%hs"} & set(logged.replace('"', " ").split())
    assert "    option httplog" not in lines
    assert "    log global" in lines


def test_each_request_is_named_before_it_can_be_repeated_whatever_the_client_says() -> None:
    lines = corrected(
        "frontend http_frontend\n    bind 127.0.0.1:8000\n", folder="/tmp/x", addresses=("-", "-")
    ).splitlines()
    assert lines[:2] == ["frontend http_frontend", f"    http-request set-header {ATTEMPT} %[uuid()]"]
