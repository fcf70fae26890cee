"""A log whose writer is killed at any instant, or whose disk is full, is the old log or the new one."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys.errors import SourceError
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.recsys.log.writing_process import ManyRows, work

ROOT = Path(__file__).resolve().parents[3]
STEPS = [("write", "2-a"), ("write", "5-a"), ("write", "5-b"), ("erase", "user:u7"), ("write", "6-b"), ("write", "6-c")]
KILLS = 6
"""For every step, each at another instant."""


def started(folder: Path, task: str, argument: str, *limit: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.recsys.log.writing_process", str(folder), task, argument, *limit]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    return process


def state(folder: Path) -> object:
    """Everything a reader sees, or None where there is no log."""
    try:
        log = EventLog(folder)
    except SourceError:
        return None
    events = log.events()
    assert log.summary.events == events.num_rows
    assert log.summary.quarantined == log.quarantine().num_rows
    return log.fingerprint, events["event_id"].to_pylist(), events["anonymous_id"].to_pylist()


def without_key(state: object) -> object:
    """Fingerprints of logs with erasures differ, since each log has a key of its own."""
    assert isinstance(state, tuple)
    return state[1:]


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_the_old_log_or_the_new_one_and_the_next_goes_on(tmp_path: Path) -> None:
    rng = random.Random(3)
    calm, harried = tmp_path / "calm", tmp_path / "harried"
    killed = 0
    for task, argument in STEPS:
        began = time.perf_counter()
        work(calm, task, argument)
        took_s = time.perf_counter() - began
        new = without_key(state(calm))
        for attempt in range(KILLS):
            old = state(harried)
            process = started(harried, task, argument)
            time.sleep(took_s * 1.2 * (attempt + rng.random()) / KILLS)
            process.kill()
            killed += process.wait() == -9
            left = state(harried)
            assert left == old or without_key(left) == new
        assert started(harried, task, argument).wait() == 0
        assert without_key(state(harried)) == new
    assert killed > len(STEPS) * KILLS / 3, "most were killed on the way"
    left_over = [path for path in harried.rglob("*") if path.is_file() and ".work" in path.parts]
    assert left_over == []
    named = {
        path.relative_to(harried).as_posix().rpartition("/")[0] for path in (harried / "events").rglob("*.parquet")
    }
    assert len(named) == 6, "one file for each date"


@pytest.mark.slow
@pytest.mark.parametrize("limit_bytes", [1_000, 60_000, 600_000])
def test_a_disk_that_is_full_is_said_and_the_old_log_stays(tmp_path: Path, limit_bytes: int) -> None:
    write_log(ManyRows(1), tmp_path / "log")
    before = state(tmp_path / "log")
    for task, argument in (("write", "4-1"), ("write", "4-2")):
        process = started(tmp_path / "log", task, argument, str(limit_bytes))
        said = process.communicate()[0]
        assert process.returncode == 1, said
        assert said.startswith("ConfigError: the event log cannot be written to ")
        assert "File too large" in said
        assert "set outputs=... to a folder that can be written and has room" in said
        assert state(tmp_path / "log") == before
        assert not (tmp_path / "log" / ".work").exists()
    fresh = started(tmp_path / "fresh", "write", "4-1", str(limit_bytes))
    assert fresh.wait() == 1
    assert not (tmp_path / "fresh").exists(), "nothing is left of a first log"


@pytest.mark.slow
def test_two_processes_at_once_one_writes_and_the_other_is_told(tmp_path: Path) -> None:
    write_log(ManyRows(1), tmp_path / "log")
    first = started(tmp_path / "log", "write", "12-1")
    while not (tmp_path / "log" / ".work").exists():
        assert first.poll() is None
        time.sleep(0.001)
    second = started(tmp_path / "log", "write", "2-2")
    said = second.communicate()[0]
    assert (second.returncode, first.wait()) == (1, 0)
    assert "another process is writing the event log" in said
    assert len(EventLog(tmp_path / "log").summary.fingerprint) == 16
    assert EventLog(tmp_path / "log").summary.rows_in == 12 * 40_001
