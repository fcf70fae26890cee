"""`recsys-describe`, from the command line to MLflow."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import hydra
import pytest
from mlflow.tracking import MlflowClient
from omegaconf import OmegaConf
from rich.console import Console

import conf
from recsys.card.findings.finding import Thresholds
from recsys.clock import ManualClock, parse_instant
from recsys.errors import DataError
from tests.made_up_shop import START, MadeUpShop
from tests.recsys.data.small_logs import source, write
from tests.training.test_command import called, small_shop
from training.card.make import Order, make_card
from training.describe import assemble
from training.tracker.mlflow import local_uri

CLOCK = ManualClock(parse_instant("2026-01-01"))


def order(outputs: Path, *overrides: str) -> Order:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        config = hydra.compose("describe", [f"outputs={outputs}", *overrides])
    return replace(assemble(config), data=MadeUpShop(shoppers=30))


def test_the_card_is_printed_written_and_tracked(tmp_path: Path) -> None:
    out = StringIO()
    folder = make_card(order(tmp_path), Console(file=out, width=80), CLOCK)
    assert folder == tmp_path / "cards" / "made_up-made-up-30-0"
    assert f"card: {folder}" in out.getvalue()
    assert "one price for everything" in out.getvalue()
    client = MlflowClient(local_uri(tmp_path))
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["shoppers"] == 30
    assert run.data.metrics["warnings"] == 1
    assert run.data.tags["kind"] == "data card"
    assert run.data.params["show_ids"] == "False"
    kept = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "card")}
    assert kept == {path.name for path in folder.iterdir()}
    assert {"card.html", "card.json", "events_by_day.png", "popularity.png"} <= kept


def test_a_card_that_names_shoppers_goes_to_the_tracker_without_their_ids(tmp_path: Path) -> None:
    busy = "thresholds.pace.items_a_day=1"
    folder = make_card(order(tmp_path, "show_ids=true", busy), Console(quiet=True), CLOCK)
    worst = json.loads((folder / "card.json").read_text())["card"]["haste"]["worst"]
    ids = [pace["shopper"] for pace in worst]
    assert len(ids) == 5
    assert all(ids)
    assert all(shopper in (folder / "card.html").read_text() for shopper in ids)
    client = MlflowClient(local_uri(tmp_path))
    (run,) = client.search_runs(["1"])
    kept = Path(client.download_artifacts(run.info.run_id, "card", str(tmp_path)))
    assert {path.name for path in kept.iterdir()} == {path.name for path in folder.iterdir()}
    tracked = json.loads((kept / "card.json").read_text())
    assert [pace["shopper"] for pace in tracked["card"]["haste"]["worst"]] == [None] * 5
    assert [pace["acts"] for pace in tracked["card"]["haste"]["worst"]] == [pace["acts"] for pace in worst]
    texts = str(tracked["warnings"]) + (kept / "card.html").read_text()
    assert not any(f" {shopper}:" in texts for shopper in ids)


def test_describing_twice_gives_the_same_numbers(tmp_path: Path) -> None:
    numbers = []
    for _ in range(2):
        folder = make_card(order(tmp_path, "tracker='null'"), Console(quiet=True), CLOCK)
        numbers.append((folder / "card.json").read_text())
    assert numbers[0] == numbers[1]
    assert json.loads(numbers[0])["card"]["view"]["cutoff"] == "2024-06-10T00:00:00+00:00"
    assert parse_instant("2024-06-10") == MadeUpShop().cutoff > START


def test_a_cut_off_outside_of_the_log_is_warned_of(tmp_path: Path) -> None:
    out = StringIO()
    late = replace(order(tmp_path, "tracker='null'"), data=MadeUpShop(shoppers=30, cutoff=START + 10**15))
    make_card(late, Console(file=out, width=80), CLOCK)
    assert "cut-off leaves too little" in out.getvalue()


def test_a_source_without_a_usable_row_is_refused_with_the_reasons(tmp_path: Path) -> None:
    bad = source(write(tmp_path / "e.csv", "not a time,buy,ann,a,1,2.5,", "2024-02-01T10:00:00,buy,,a,1,2.5,"))
    with pytest.raises(DataError, match=r"no usable event out of 2 rows.*time is unreadable"):
        make_card(replace(order(tmp_path, "tracker='null'"), data=bad), Console(quiet=True), CLOCK)
    assert not (tmp_path / "cards").exists()


def test_the_command_describes_ones_own_file_and_says_where_the_card_lies(tmp_path: Path) -> None:
    small_shop(tmp_path)
    done = called("describe", "data=table", "data.files=events.csv", "tracker=null", "outputs=out", at=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 rows in = 2 events" in done.stdout
    (card,) = (tmp_path / "out" / "cards").iterdir()
    assert str(card) in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.csv", "out"]


def test_every_threshold_stands_in_the_settings_with_its_default(tmp_path: Path) -> None:
    assert order(tmp_path).thresholds == Thresholds()
    written = OmegaConf.load(Path(conf.__file__).parent / "describe.yaml").thresholds
    assert set(written) - {"_target_"} == set(Thresholds.__dataclass_fields__)
    assert order(tmp_path, "thresholds.pace.per_minute=30").thresholds.pace.per_minute == 30


@pytest.mark.parametrize(
    ("argument", "said"),
    [("thresholds.pace.per_second=1", "'thresholds.pace.per_second'"), ("show_names=true", "describe has data")],
)
def test_a_setting_that_does_not_exist_is_refused_before_any_work(tmp_path: Path, argument: str, said: str) -> None:
    done = called("describe", argument, at=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
