"""Lines of the log: one object each, from the replicas to the process that started them, without shoppers in them."""

import io
import json
import logging
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.watching.lines import LineReceiver
from serving.watching.logs import FORMATS, JsonLines, PlainLines, ToServer, Troubles, configure
from serving.watching.request import CURRENT
from tests.serving.conftest import Shopfront


def record(message: str, *arguments: object, failure: BaseException | None = None) -> logging.LogRecord:
    info = None if failure is None else (type(failure), failure, failure.__traceback__)
    return logging.LogRecord("attune.test", logging.ERROR, "file.py", 1, message, arguments, info)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: those of sockets are limited to a hundred characters."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """The logger of everything of ours, put back afterwards."""
    log = logging.getLogger("attune")
    before = (list(log.handlers), log.level, log.propagate)
    yield log
    log.handlers[:], log.level, log.propagate = before


def test_a_line_is_one_object_whatever_is_in_it() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as failure:
        line = JsonLines().format(record('item "%s" is\nodd', "ä", failure=failure))
    assert "\n" not in line
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("ERROR", "attune.test", 'item "ä" is\nodd')
    assert "ValueError: first\nsecond" in told["exception"]
    assert told["time"].endswith("+00:00")
    assert "request_id" not in told


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_line_within_a_request_names_it(log_format: str) -> None:
    token = CURRENT.set("r-17")
    try:
        assert "r-17" in FORMATS[log_format]().format(record("odd"))
    finally:
        CURRENT.reset(token)
    assert "r-17" not in FORMATS[log_format]().format(record("odd"))


def test_lines_of_replicas_arrive_whole_where_the_server_was_started(folder: Path, log: logging.Logger) -> None:
    arrived = io.StringIO()
    receiver = LineReceiver(folder / "log", arrived).open()
    handler = ToServer(folder / "log")
    configure("json", handlers=[handler])
    for number in range(100):
        log.getChild("replica").info("line %d %s", number, "ä\n" * 5_000)
    handler.close()
    receiver.close()
    lines = [json.loads(line) for line in arrived.getvalue().splitlines()]
    assert [line["message"].split()[1] for line in lines] == [str(number) for number in range(100)]
    assert not (folder / "log").exists()


def test_a_server_that_does_not_read_holds_nobody_up(
    folder: Path, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(folder / "log"))
        deaf.listen()
        configure("plain", handlers=[ToServer(folder / "log")])
        started = time.monotonic()
        log.warning("too much: %s", "x" * 10_000_000)
        assert time.monotonic() - started < 5
    assert "too much: xxx" in capsys.readouterr().err


def test_where_nobody_listens_lines_go_to_standard_error(
    folder: Path, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("plain", handlers=[ToServer(folder / "log")])
    log.warning("nobody hears this")
    assert "WARNING attune nobody hears this" in capsys.readouterr().err


def test_the_latest_troubles_are_remembered_without_their_tracebacks() -> None:
    troubles = Troubles(remembered=2)
    for number in range(3):
        troubles.emit(record("trouble %d", number, failure=ValueError("with a traceback")))
    assert [line.rpartition("attune.test ")[2] for line in troubles.lines] == ["trouble 1", "trouble 2"]
    assert troubles.level == logging.WARNING
    assert isinstance(troubles.formatter, PlainLines)


async def test_no_line_holds_a_shopper_whatever_goes_wrong(shop: Shopfront, caplog: pytest.LogCaptureFixture) -> None:
    shopper = {"user_id": "secret-user", "anonymous_id": "secret-visitor"}
    event = {"type": "view", "item_id": "item-001", "query": "secret-search", **shopper}
    with caplog.at_level(logging.DEBUG):
        await shop.http.post("/v1/events", json=event)
        await shop.http.post("/v1/events", json=event | {"type": "secret-type"})
        shop.recommender.encoder_works = False
        await shop.http.post("/v1/recommendations", json={"shopper": shopper})
        shop.recommender.anything_works = False
        await shop.http.post("/v1/recommendations", json={"shopper": shopper, "session": "secret-session"})
        await shop.store.close()
        await shop.http.post("/v1/events", json=event)
        await shop.http.post("/v1/recommendations", json={"shopper": shopper})
        await shop.store.open()
    said = "\n".join(JsonLines().format(one) for one in caplog.records if one.name.startswith("attune"))
    assert "rung full failed" in said
    assert "store" in said
    assert "secret" not in said
