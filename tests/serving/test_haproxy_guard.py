"""The correction of the proxy's configuration, on an excerpt of what Ray Serve writes."""

from serving.haproxy_guard import corrected

_WRITTEN = """global
    stats timeout 30s
defaults
    errorfile 502 /tmp/x/500.http
    errorfile 503 /tmp/x/500.http
    errorfile 504 /tmp/x/500.http
frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind *:8000
backend default_backend
    http-request return status 404
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
        f"errorfile {status} /f/unavailable.http" for status in (502, 503, 504)
    ]


def test_everything_else_stays_as_it_was() -> None:
    before = [line for line in _WRITTEN.splitlines() if "bind" not in line and "errorfile" not in line]
    after = corrected(_WRITTEN, folder="/f", addresses=("-", "-")).splitlines()
    assert [line for line in after if "bind" not in line and "errorfile" not in line] == before


def test_correcting_twice_changes_nothing_more() -> None:
    once = corrected(_WRITTEN, folder="/f", addresses=("127.0.0.1:9101", "-"))
    assert corrected(once, folder="/f", addresses=("127.0.0.1:9101", "-")) == once
