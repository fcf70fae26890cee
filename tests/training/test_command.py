"""The command line: refused early, readably, and with what exists."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.errors import ConfigError, RecsysError
from training import command, train

ROOT = Path(__file__).resolve().parents[2]


def called(main: str, *arguments: str, at: Path) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it, from a folder of their own."""
    return subprocess.run(
        [sys.executable, "-m", f"training.{main}", *arguments],
        cwd=at,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """Exit status and message of `recsys-train` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["recsys-train", *arguments])
    with pytest.raises(SystemExit) as ended:
        train.main()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("model=perceptron", ["model/perceptron", "sasrec"]),
        ("modell=sasrec", ["'modell'", "train has consent, data", "model"]),
        ("trainer.epoch=3", ["'trainer.epoch'", "trainer has", "epochs", "clip_norm"]),
        ("data.no.such.key=1", ["'data.no.such.key'", "data has", "cutoff", "households"]),
        ("experiment=bogus", ["experiment/bogus", "demo"]),
        ("trainer.epochs=[1", ["at input '[1'"]),
    ],
)
def test_what_does_not_exist_ends_with_2_and_shows_what_does(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    argument: str,
    named: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status, message = refused(capsys, monkeypatch, argument)
    assert status == 2
    for part in named:
        assert part in message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == [], "before any work"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("trainer.epochs=0", "ConfigError: trainer.epochs is 0; give at least 1"),
        ("trainer.context_tokens=0", "ConfigError: trainer.context_tokens is 0"),
        ("trainer.device=abacus", "ConfigError: trainer.device='abacus' is not a device; use auto, cpu or cuda"),
        ("validation_days=0", "ConfigError: validation_days is 0"),
        ("data.households=0", "SourceError: data.households is 0"),
        ("data.folder=/nowhere", "SourceError: /nowhere/transactions.parquet is missing"),
        ("retrieval.weights.cold.populr=1", "populr"),
    ],
)
def test_a_setting_that_cannot_work_ends_with_its_reason_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    argument: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = refused(capsys, monkeypatch, argument, "outputs=out")
    assert status in (1, 2)
    assert message in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be_written_are_named_and_nothing_else_is_written(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file")
    small_shop(tmp_path)
    done = called("ingest", "data=table", "data.files=events.csv", "outputs=occupied", at=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("ConfigError: ")
    assert f"{tmp_path}/occupied/log/table" in done.stderr
    assert "set outputs=" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.csv", "occupied"]


def test_a_folder_of_ones_own_adds_choices_and_the_log_goes_below_outputs_only(tmp_path: Path) -> None:
    small_shop(tmp_path)
    (tmp_path / "mine" / "data").mkdir(parents=True)
    table = (ROOT / "conf" / "data" / "table.yaml").read_text()
    (tmp_path / "mine" / "data" / "myshop.yaml").write_text(table.replace("data/events*.csv.gz", "events.csv"))
    done = called("ingest", "--config-dir", "mine", "data=myshop", "outputs=out", at=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 rows in = 2 events + 0 duplicates + 0 quarantined + 0 excluded" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.csv", "mine", "out"]


def small_shop(folder: Path) -> None:
    (folder / "events.csv").write_text(
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "2019-11-01 00:00:00 UTC,view,1,2,a.b,x,1.5,7,s\n"
        "2019-11-02 00:00:00 UTC,purchase,1,2,a.b,x,1.5,7,t\n"
    )


def test_help_is_readable_and_ends_well(tmp_path: Path) -> None:
    done = called("train", "--help", at=tmp_path)
    assert done.returncode == 0
    assert "model=sasrec" in done.stdout
    assert "epochs=4" in done.stdout


def test_the_choice_called_null_is_not_the_absence_of_a_choice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = refused(capsys, monkeypatch, "tracker=null", "data.folder=/nowhere")
    assert (status, "SourceError" in said) == (1, True), "it composed and got as far as the data"


def test_a_deliberate_error_is_found_below_what_hydra_wraps_around_it() -> None:
    wrapped = RuntimeError("Error in call to target")
    wrapped.__cause__ = RuntimeError("again")
    wrapped.__cause__.__cause__ = ConfigError("the reason")
    found = command._deliberate(wrapped)
    assert isinstance(found, RecsysError)
    assert str(found) == "the reason"
    assert command._deliberate(RuntimeError("a bug")) is None
