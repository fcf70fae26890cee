"""Security on the real thing, behind HAProxy: what the proxy itself says, keys on every replica, Ray's token."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from serving import processes
from tests.serving.live import LiveServer

VIEW = {"type": "view", "anonymous_id": "security", "item_id": "item-017"}
KEY = re.compile(r"\b[sp]k_[0-9a-f]{12}_[0-9a-f]{64}\b")
ROOT = Path(__file__).resolve().parents[2]


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def said_to(server: LiveServer, request: bytes, *, patience_s: float = 20) -> httpx.Response:
    """The answer to bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience_s) as line:
        line.sendall(request)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def test_the_first_start_on_loopback_prints_a_key_that_can_be_tried_at_once(server: LiveServer) -> None:
    assert "no key is needed" in server.output
    [text, again] = KEY.findall(server.output)
    assert text == again, "told, and shown in a line to try it"
    with httpx.Client(base_url=server.url) as http:
        assert http.post("/v1/events", json=VIEW).status_code == 200
        assert http.post("/v1/events", json=VIEW, headers=bearer(text)).status_code == 200
        wrong = http.post("/v1/events", json=VIEW, headers=bearer(text[:-1]))
        assert (wrong.status_code, wrong.json()["type"]) == (401, "urn:attune:problem:unknown-key")


@pytest.mark.parametrize(
    "request_",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\ncookie: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\n" + b"".join(b"x-%d: 1\r\n" % number for number in range(300)) + b"\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    ],
    ids=["nonsense", "header", "large", "many", "lengths"],
)
def test_what_is_no_http_is_refused_by_the_proxy_in_words_of_its_own_that_tell_nothing(
    server: LiveServer, request_: bytes
) -> None:
    answer = said_to(server, request_)
    assert answer.status_code == 400
    assert len(answer.content) < 250
    for inside in ("ray", "haproxy", "uvicorn", "python", "/tmp", "attune"):
        assert inside not in answer.text.lower()


@pytest.mark.parametrize(
    ("status", "method", "path", "headers"),
    [
        (404, "GET", "/nothing", {}),
        (405, "GET", "/v1/events", {}),
        (414, "GET", "/v1/items/" + "x" * 5_000, {}),
        (415, "POST", "/v1/events", {"content-type": "text/plain"}),
        (431, "GET", "/healthz", {"cookie": "x" * 13_000}),
        (403, "POST", "/v1/events", {"host": "attacker.example"}),
    ],
)
def test_refusals_of_the_application_come_through_the_proxy_as_they_are(
    server: LiveServer, status: int, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = httpx.request(method, f"{server.url}{path}", headers=headers, json=VIEW if method == "POST" else None)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.slow
def test_headers_that_do_not_come_are_not_waited_for(server: LiveServer) -> None:
    started = time.monotonic()
    answer = said_to(server, b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\n")
    assert answer.status_code == 408
    assert 5 < time.monotonic() - started < 15


@pytest.mark.slow
def test_a_body_that_does_not_come_is_not_waited_for(server: LiveServer) -> None:
    started = time.monotonic()
    answer = said_to(server, b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
    assert (answer.status_code, answer.headers["content-type"]) == (408, "application/problem+json")
    assert 5 < time.monotonic() - started < 15


@pytest.mark.slow
def test_what_rays_full_queue_drops_is_told_as_a_problem_too(tiny_bundle: Path, tmp_path: Path) -> None:
    server = LiveServer(tiny_bundle, tmp_path, "app.max_concurrent=1")
    server.start()
    try:
        server.wait_until_ready()
        slow = b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"
        with ThreadPoolExecutor(12) as threads:
            answers = list(threads.map(lambda _: said_to(server, slow), range(12)))
    finally:
        server.stop()
    assert {answer.status_code for answer in answers} == {408, 503}
    kinds = {answer.json()["type"] for answer in answers if answer.status_code == 503}
    assert "urn:attune:problem:unavailable" in kinds
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


def test_a_server_that_others_could_reach_does_not_start_without_keys(tiny_bundle: Path, tmp_path: Path) -> None:
    for security, words in (("loopback", "lets anybody in without a key"), ("keys", "recsys-keys create=NAME")):
        server = LiveServer(tiny_bundle, tmp_path / security, f"security={security}", "server.host=0.0.0.0")
        server.start()
        assert server.wait() == 1
        assert words in server.output
        assert "Traceback" not in server.output


def keys_of(server: LiveServer, *arguments: str) -> str:
    """What `recsys-keys` prints about the server's store."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "serving.keys", "store.path=store/events.db", *arguments],
        cwd=server.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def made(server: LiveServer, *arguments: str) -> str:
    [text] = KEY.findall(keys_of(server, *arguments))
    return str(text)


def statuses(server: LiveServer, headers: dict[str, str], times: int = 40) -> set[int]:
    """What the replicas answer; a new connection each, so that all of them are asked."""
    return {httpx.post(f"{server.url}/v1/events", json=VIEW, headers=headers).status_code for _ in range(times)}


def eventually(server: LiveServer, headers: dict[str, str], wanted: set[int]) -> float:
    """How many seconds until all replicas answer so."""
    started = time.monotonic()
    while statuses(server, headers) != wanted:
        assert time.monotonic() - started < 20
    return time.monotonic() - started


@pytest.mark.slow
def test_new_and_revoked_keys_reach_both_replicas_within_seconds_while_they_serve(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    server = LiveServer(tiny_bundle, tmp_path, "app.replicas=2", "security=keys")
    first = made(server, "create=first", "scopes=[events:write]")
    server.start()
    try:
        server.wait_until_ready()
        assert KEY.search(server.output) is None, "there is a key already, so none is made"
        assert httpx.get(f"{server.url}/readyz").json() == {"status": "ready"}
        assert statuses(server, {}) == {401}
        assert statuses(server, bearer(first)) == {200}
        second = made(server, "create=second", "scopes=[events:write]")
        assert eventually(server, bearer(second), {200}) < 5
        keys_of(server, "revoke=first")
        assert eventually(server, bearer(first), {401}) < 5
        assert statuses(server, bearer(second)) == {200}
        written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
        assert all(text.split("_")[2].encode() not in content for text in (first, second) for content in written)
    finally:
        server.stop()


@pytest.fixture
def tokened(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LiveServer, int]]:
    """A server whose operator chose Ray's token and wants the dashboard, and the dashboard's port."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
    dashboard = processes.free_port()
    server = LiveServer(tiny_bundle, tmp_path, f"server.dashboard_port={dashboard}")
    server.start()
    try:
        server.wait_until_ready()
        yield server, dashboard
    finally:
        server.stop()


def joined(address: str, **token: str) -> subprocess.CompletedProcess[str]:
    """What comes of joining a Ray as another program of this machine would."""
    program = f"import ray; ray.init(address={address!r}, logging_level='ERROR'); print('nodes', len(ray.nodes()))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # as serving/server.py: look on loopback for what lies there
    return subprocess.run(
        [sys.executable, "-c", program], env=environment | token, capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
def test_rays_own_doors_open_to_its_token_only_and_lie_on_loopback(tokened: tuple[LiveServer, int]) -> None:
    server, dashboard = tokened
    family = [server.pid, *(one.pid for one in processes.descendants(server.pid))]
    listening = processes.listening(family)
    assert {address for address, port in listening if port == dashboard} == {"0100007F"}
    assert {address for address, _ in listening} <= {
        "0100007F",
        "0000000000000000FFFF00000100007F",
        "00000000000000000000000001000000",
    }

    jobs = f"http://127.0.0.1:{dashboard}/api/jobs/"
    assert httpx.get(jobs).status_code == 401
    assert httpx.get(jobs, headers=bearer("0" * 64)).status_code in (401, 403)
    assert httpx.get(jobs, headers=bearer("f" * 64)).status_code == 200

    [raylet] = [one for one in processes.descendants(server.pid) if one.name == "raylet"]
    arguments = Path(f"/proc/{raylet.pid}/cmdline").read_text().split("\0")
    [address] = [one.partition("=")[2] for one in arguments if re.match("--gcs[-_]address=", one)]
    assert "nodes 1" in joined(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="f" * 64).stdout
    for token in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
        refused = joined(address, **token)
        assert "nodes" not in refused.stdout
        assert refused.returncode != 0
        assert "auth" in refused.stderr.lower()
