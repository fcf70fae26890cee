"""The commands that write, erase from and migrate a log, as they are typed."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.log.reader import EventLog
from training import erase, ingest, migrate

Command = Callable[..., str]

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in a folder of its own; what it prints, or what it says against it with the status in front."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")

    def run(main: Callable[[], None], *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        try:
            main()
        except SystemExit as ended:
            return f"{ended.code}: {capsys.readouterr().err}"
        return capsys.readouterr().out

    return run


def day(path: str, *rows: str) -> None:
    Path(path).parent.mkdir(exist_ok=True, parents=True)
    Path(path).write_text(HEADER + "".join(f"{row}\n" for row in rows))


FIRST = "2019-11-01 00:00:00 UTC,view,1,2,a.b,x,1.5,ann,s"
SECOND = "2019-11-02 00:00:00 UTC,purchase,1,2,a.b,x,1.5,ben@shop.org,t"
BAD = "2019-11-02 00:00:00 UTC,purchase,1,2,a.b,x,cheap,ben@shop.org,t"


def log_of(printed: str) -> Path:
    return Path(next(line for line in printed.splitlines() if line.startswith("log: "))[5:])


def test_paths_on_the_command_line_are_the_files_of_a_table(typed: Command) -> None:
    day("my shop/it's monday.csv", FIRST)
    day("date=2019-11-02/events.csv", SECOND)
    out = typed(ingest.main, "data=table", "my shop/it's monday.csv", "date=2019-11-02/events.csv", "outputs=out")
    assert "2 rows in = 2 events + 0 duplicates + 0 quarantined + 0 excluded" in out
    assert "unfolded" not in out
    assert "erased" not in out


def test_a_pattern_that_the_shell_left_alone_is_a_path_too(typed: Command) -> None:
    day("my/a.csv", FIRST)
    assert "1 rows in = 1 events" in typed(ingest.main, "my/*.csv", "data=table", "outputs=out")


def test_a_path_is_the_folder_of_a_source_that_has_one(typed: Command) -> None:
    Path("downloads").mkdir()
    said = typed(ingest.main, "data=complete_journey", "downloads", "outputs=out")
    assert said.startswith("1: SourceError: ")
    assert "downloads/transactions.parquet is missing" in said


def test_a_path_may_be_the_one_file_of_a_source_that_reads_one(typed: Command) -> None:
    Path("mine").mkdir()
    Path("mine/pairs.txt").write_text("1 1\n1 2\n2 1\n")
    out = typed(ingest.main, "data=sasrec_file", "mine/pairs.txt", "outputs=out")
    assert "3 rows in = 3 events" in out
    assert "literature mode: order only, no times; time features are off" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=table", "none.csv"], "2: 'none.csv' is neither KEY=VALUE nor a file or folder that exists"),
        (
            ["data=complete_journey", "there.csv"],
            "2: 'there.csv': this source reads the one folder that holds its files",
        ),
        (["data=sasrec_file", "there.csv", "there.csv"], "reads one folder, or one file; give that"),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused_before_any_work(
    typed: Command, arguments: list[str], message: str
) -> None:
    day("there.csv", FIRST)
    assert message in typed(ingest.main, *arguments, "outputs=out")
    assert not Path("out").exists()


def test_a_command_without_a_source_takes_no_paths(typed: Command) -> None:
    day("there.csv", FIRST)
    assert typed(migrate.main, "there.csv").startswith("2: 'there.csv': migrate takes no paths here")


def test_what_is_bad_is_said_in_the_account_with_its_reason(typed: Command) -> None:
    day("a.csv", FIRST, BAD)
    out = typed(ingest.main, "data=table", "a.csv", "outputs=out")
    assert "2 rows in = 1 events + 0 duplicates + 1 quarantined + 0 excluded" in out
    assert "quarantined: price is not a number 1" in out


def test_a_further_file_is_added_and_a_changed_one_is_said(typed: Command) -> None:
    day("my/1.csv", FIRST)
    first = typed(ingest.main, "data=table", "my/1.csv", "outputs=out")
    day("my/2.csv", SECOND)
    second = typed(ingest.main, "data=table", "my/1.csv", "my/2.csv", "outputs=out")
    assert log_of(first) == log_of(second)
    assert "written from scratch" not in second
    day("my/1.csv", FIRST, FIRST.replace("ann", "amy"))
    third = typed(ingest.main, "data=table", "my/1.csv", "my/2.csv", "outputs=out")
    assert "is written from scratch: the part '1.csv' changed" in third
    assert "3 rows in = 3 events" in third


def test_a_shopper_is_erased_and_stays_out(typed: Command) -> None:
    day("my/1.csv", FIRST, SECOND, BAD)
    log = log_of(typed(ingest.main, "data=table", "my/1.csv", "outputs=out"))
    out = typed(erase.main, f"log={log}", "shopper=user:ben@shop.org")
    assert "erased 1 events and 1 refused rows; 0 rows of others lost an anonymous id" in out
    assert "3 rows in = 1 events + 0 duplicates + 0 quarantined + 0 excluded + 2 erased" in out
    assert f"receipt: {log}/receipts/00000002.json" in out
    assert "ben" not in out
    assert EventLog(log).events()["shopper"].to_pylist() == ["ann"]
    assert "+ 2 erased" in typed(ingest.main, "data=table", "my/1.csv", "outputs=out")


@pytest.mark.parametrize(
    "shopper_id", ["a'b", "x=1, {y}", "[1]", "null", "7", "user:ann", "a\\", "a\\'", "${oc.env:HOME}", "'a'", "a='b"]
)
def test_an_id_is_taken_as_it_stands(typed: Command, shopper_id: str) -> None:
    quoted = f'"{shopper_id}"' if "," in shopper_id else shopper_id
    day("my/1.csv", FIRST, SECOND.replace("ben@shop.org", quoted))
    log = log_of(typed(ingest.main, "data=table", "my/1.csv", "outputs=out"))
    out = typed(erase.main, f"log={log}", f"shopper=user:{shopper_id}")
    assert "erased 1 events" in out
    assert "data cards that were made with show_ids=true" in out


def test_erasing_says_what_is_missing_and_where_else_the_shopper_may_be(typed: Command) -> None:
    assert typed(erase.main).startswith("1: ConfigError: say what to erase where: log=FOLDER shopper=user:ID")
    assert "write shopper=user:ID" in typed(erase.main, "log=x", "shopper=ann")
    assert "x holds no event log" in typed(erase.main, "log=x", "shopper=user:ann")
    day("my/1.csv", FIRST)
    log = log_of(typed(ingest.main, "data=table", "my/1.csv", "outputs=out"))
    other = log_of(typed(ingest.main, "data=table", "my/1.csv", "outputs=out", "data.constants.currency=EUR"))
    out = typed(erase.main, f"log={log}", "shopper=user:nobody")
    assert "no row was theirs; rows that come later are kept out" in out
    assert f"not touched: {other}; if it holds the shopper, erase there, too" in out


def test_a_present_log_is_shown_by_migrate(typed: Command) -> None:
    day("my/1.csv", FIRST)
    log = log_of(typed(ingest.main, "data=table", "my/1.csv", "outputs=out"))
    out = typed(migrate.main, f"log={log}")
    assert "schema version is 2 already" in out
    assert "1 rows in = 1 events" in out
    assert typed(migrate.main).startswith("1: ConfigError: say which log to migrate")


def test_naming_the_new_day_only_keeps_the_days_before_unless_a_rebuild_is_asked_for(typed: Command) -> None:
    day("my/1.csv", FIRST)
    typed(ingest.main, "data=table", "my/1.csv", "outputs=out")
    day("my/2.csv", SECOND)
    second = typed(ingest.main, "data=table", "my/2.csv", "outputs=out")
    assert "1 parts of the log are not among the files given; they are kept (rebuild=true" in second
    assert "2 rows in = 2 events" in second
    third = typed(ingest.main, "data=table", "my/2.csv", "outputs=out", "rebuild=true")
    assert "is written from scratch: rebuild=true" in third
    assert "1 rows in = 1 events" in third
