"""`recsys-score`: the file of answers is what the online pipeline answers, whoever writes it."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import hydra
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recsys.clock import DAY, ManualClock, parse_instant, to_datetime
from recsys.errors import ConfigError
from recsys.event import EVENT_SCHEMA, Event, EventType
from recsys.log.engine import LocalEngine
from recsys.log.intake import ArrivingPart
from recsys.log.reader import EventLog
from recsys.log.writer import log_folder
from recsys.recommender import Recommender
from recsys.retrieval.filter.parse import parse
from recsys.retrieval.mixing import Mixed
from recsys.shoppers import Shoppers
from recsys.slate import Candidates, Choice
from recsys.state import Context, History, ShopperState
from serving.exposure import ExposureLog
from serving.pipeline import Answering, Question
from serving.store.sqlite import SqliteStore
from tests.made_up_shop import MadeUpShop
from training.engine.ray import RayEngine
from training.recipe import Recipe
from training.score import main, wanted
from training.scoring.answers_file import ANSWERS_SCHEMA
from training.scoring.run import Wanted, score_shoppers
from training.scoring.shoppers import read_shoppers

T = TypeVar("T")
R = TypeVar("R")
AT = MadeUpShop().cutoff + 3 * DAY
NOW = ManualClock(AT + DAY)


@dataclass(slots=True)
class Breaking:
    """An engine that breaks down after some steps of scoring, and counts them."""

    after: int = 10**9
    steps: int = 0

    def __enter__(self) -> "Breaking":
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def shares(self, parts: Sequence[ArrivingPart]) -> Sequence[tuple[ArrivingPart, ...]]:
        return LocalEngine().shares(parts)

    def run(self, step: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        for task in tasks:
            if step.__name__ == "score":
                if self.steps == self.after:
                    raise OSError("the machine went away")
                self.steps += 1
            yield step(task)


@dataclass(frozen=True, slots=True)
class Files:
    """Writes answers about the made-up shop."""

    wanted: Wanted
    folder: Path

    def write(self, name: str, engine: Any = None, console: Console | None = None, **changed: Any) -> Path:
        wanted = replace(self.wanted, answers=self.folder / name, **changed)
        console = console or Console(quiet=True)
        return score_shoppers(MadeUpShop(), wanted, engine or LocalEngine(threads=1), console, clock=NOW)

    def slates(self, name: str, **changed: Any) -> dict[str, list[str]]:
        """Item ids of each shopper."""
        found: dict[str, list[str]] = {}
        for row in pq.read_table(self.write(name, **changed)).to_pylist():
            found.setdefault(row["shopper"], []).append(row["item_id"])
        return found


@pytest.fixture
def files(tiny_recipe: Recipe, tiny_bundle: Path, tmp_path: Path) -> Files:
    return Files(Wanted(bundle=tiny_bundle, outputs=tiny_recipe.outputs, at=AT, batch_shoppers=50), tmp_path)


def test_every_shopper_has_a_slate_in_order_of_ranks(files: Files, tiny_bundle: Path) -> None:
    file = pq.ParquetFile(files.write("a.parquet"))
    found = file.read()
    assert found.schema.equals(ANSWERS_SCHEMA)
    assert found["shopper"].to_pylist() == [f"shopper-{n:03d}" for n in range(120) for _ in range(10)]
    assert found["rank"].to_pylist() == list(range(1, 11)) * 120
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [500, 500, 200]
    assert set(found["model_version"].to_pylist()) == {Recommender.load(tiny_bundle).model_version}
    assert set(found["generated_at"].to_pylist()) == {to_datetime(NOW.now())}
    assert set(found["knowledge"].to_pylist()) == {"known"}
    assert [path.name for path in files.folder.iterdir()] == ["a.parquet"]


def test_only_what_the_filter_matches_is_in_the_file_and_as_much_as_asked_for(files: Files) -> None:
    slates = files.slates("a.parquet", wanted=parse({"category": "category-2", "not": {"item_id": "item-100"}}))
    assert len(slates) == 120
    for shown in slates.values():
        assert len(set(shown)) == 10
        assert all("item-101" <= item <= "item-149" for item in shown)


def _event(row: dict[str, Any]) -> Event:
    given = {name: row[name] for name in EVENT_SCHEMA.names if row[name] is not None}
    return Event(**{**given, "type": EventType(row["type"]), "occurred_at": int(row["occurred_at"].timestamp() * 1e6)})


@pytest.mark.parametrize("exclude_seen", [False, True])
async def test_a_slate_of_the_file_is_what_the_online_pipeline_answers_then(
    files: Files, tiny_recipe: Recipe, tiny_bundle: Path, exclude_seen: bool, tmp_path: Path
) -> None:
    path = files.write("a.parquet", exclude_seen=exclude_seen, channel="app", device="phone", batch_shoppers=64)
    written = pq.read_table(path)
    events = EventLog(log_folder(MadeUpShop(), tiny_recipe.outputs)).events()
    recommender, store = Recommender.load(tiny_bundle).on_offer(), SqliteStore(tmp_path / "events.db")
    await store.open()
    answering = Answering(
        recommender,
        store,
        ExposureLog(store),
        clock=ManualClock(AT),
        rng=np.random.default_rng(0),
        history_limit=recommender.features.memory,
    )
    try:
        for shopper in ("shopper-000", "shopper-017", "shopper-064", "shopper-119"):
            await store.append([_event(row) for row in events.filter(pc.equal(events["shopper"], shopper)).to_pylist()])
            question = Question(user_id=shopper, channel="app", device="phone", exclude_seen=exclude_seen)
            answer = await answering.answer(question)
            rows = written.filter(pc.equal(written["shopper"], shopper)).to_pylist()
            shown = [item for _, item in answer.items]
            for name in ("item_id", "source", "reason", "propensity"):
                assert [row[name] for row in rows] == [getattr(item, name) for item in shown]
            assert [row["score"] for row in rows] == pytest.approx([item.score for item in shown], rel=1e-4)
            assert {(row["knowledge"], row["model_version"]) for row in rows} == {("known", answer.model_version)}
    finally:
        await answering.close()
        await store.close()


def test_threads_and_the_size_of_tasks_change_nothing(files: Files) -> None:
    one = files.write("one.parquet")
    assert files.write("two.parquet", LocalEngine(threads=2)).read_bytes() == one.read_bytes()
    assert files.slates("small.parquet", batch_shoppers=7) == files.slates("large.parquet", batch_shoppers=1_000)


@pytest.mark.slow
def test_ray_writes_the_same_bytes(files: Files) -> None:
    with RayEngine(cores=2) as engine:
        assert files.write("ray.parquet", engine).read_bytes() == files.write("local.parquet").read_bytes()


def test_a_run_that_broke_down_is_gone_on_with_and_leaves_the_file_before_as_it_was(files: Files) -> None:
    whole = files.write("whole.parquet").read_bytes()
    (files.folder / "a.parquet").write_text("of yesterday")
    with pytest.raises(OSError, match="the machine went away"):
        files.write("a.parquet", Breaking(after=2))
    assert (files.folder / "a.parquet").read_text() == "of yesterday"
    before = {path.name: path.stat().st_ino for path in (files.folder / "a.parquet.parts").glob("0*.parquet")}
    assert len(before) == 2
    out = io.StringIO()
    assert files.write("a.parquet", console=Console(file=out)).read_bytes() == whole
    assert "2 of 3 parts are there from a run that was interrupted" in out.getvalue()
    assert not (files.folder / "a.parquet.parts").exists()


def test_parts_of_another_question_are_not_gone_on_with(files: Files) -> None:
    with pytest.raises(OSError, match="the machine went away"):
        files.write("a.parquet", Breaking(after=2))
    engine = Breaking()
    assert len(pq.read_table(files.write("a.parquet", engine, count=3))) == 360
    assert engine.steps == 3


def test_named_shoppers_are_answered_as_among_all_and_unknown_ones_as_newcomers(files: Files) -> None:
    every = files.slates("all.parquet")
    path = files.folder / "who.txt"
    path.write_text("shopper-100\nshopper-003\n\nstranger\nshopper-100\n")
    some = files.write("some.parquet", shoppers=read_shoppers(path))
    rows = pq.read_table(some).to_pylist()
    assert list(dict.fromkeys(row["shopper"] for row in rows)) == ["shopper-003", "shopper-100", "stranger"]
    assert {row["knowledge"] for row in rows if row["shopper"] == "stranger"} == {"cold"}
    for shopper in ("shopper-003", "shopper-100"):
        assert [row["item_id"] for row in rows if row["shopper"] == shopper] == every[shopper]


def test_only_who_did_something_lately_before_the_instant_is_asked_about(files: Files, tiny_recipe: Recipe) -> None:
    events = EventLog(log_folder(MadeUpShop(), tiny_recipe.outputs)).events()
    since, until = (pa.scalar(to_datetime(instant)) for instant in (AT - 2 * DAY, AT))
    lately = pc.and_(pc.greater_equal(events["occurred_at"], since), pc.less(events["occurred_at"], until))
    expected = set(events.filter(lately)["shopper"].to_pylist())
    assert 10 < len(expected) < 110
    assert files.slates("a.parquet", active_days=2).keys() == expected


def test_nobody_is_known_before_the_first_event_and_the_file_is_empty(files: Files) -> None:
    out = io.StringIO()
    path = files.write("a.parquet", console=Console(file=out, width=300), at=0)
    assert pq.read_table(path).num_rows == 0
    assert "0 shoppers, 0 rows" in out.getvalue()
    assert "learnt from events up to" in out.getvalue()


def test_the_instant_is_by_default_just_after_the_last_event(files: Files, tiny_recipe: Recipe) -> None:
    path = score_shoppers(MadeUpShop(), replace(files.wanted, at=None), LocalEngine(), Console(quiet=True), clock=NOW)
    last = max(EventLog(log_folder(MadeUpShop(), tiny_recipe.outputs)).events()["occurred_at"].to_pylist())
    assert path == tiny_recipe.outputs / "answers" / f"made_up-{last:%Y%m%dT%H%M%S}.parquet"


def test_the_settings_of_the_command_are_what_is_wanted(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "who.txt").write_text("ann\n")
    overrides = ["tracker='null'", f"bundle={tiny_bundle}", f"shoppers={tmp_path / 'who.txt'}", "channel=app", "seed=8"]
    overrides += ["at='2017-12-31T18:00+01:00'", "count=3", "exclude_seen=true", "active_days=9", "batch_shoppers=4"]
    with hydra.initialize_config_module("conf", version_base="1.3"):
        asked = ["answers=out.parquet", "device=phone", 'filter={category: "Food > Dairy", price: {lt: 5}}']
        found = wanted(hydra.compose("score", [*overrides, *asked]))
    assert found == Wanted(
        bundle=tiny_bundle,
        outputs=Path("outputs").absolute(),
        answers=Path("out.parquet").absolute(),
        at=parse_instant("2017-12-31T17:00"),
        count=3,
        exclude_seen=True,
        wanted=parse({"category": "Food > Dairy", "price": {"lt": 5}}),
        shoppers=("ann",),
        active_days=9,
        channel="app",
        device="phone",
        batch_shoppers=4,
        seed=8,
    )


def test_what_is_no_instant_is_refused_with_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["recsys-score", "at=soon"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "at=soon is no instant" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True, slots=True)
class Lottery:
    """Shows items by chance."""

    name: str = "lottery"
    repurchase: None = None

    def choices(
        self, shoppers: Shoppers, mixed: Mixed, *, counts: Sequence[int], rng: Sequence[np.random.Generator]
    ) -> list[Choice]:
        return [
            self._drawn(mixed.one(number).candidates, *own) for number, own in enumerate(zip(counts, rng, strict=True))
        ]

    def _drawn(self, candidates: Candidates, count: int, rng: np.random.Generator) -> Choice:
        place = rng.permutation(len(candidates))[:count]
        return Choice(place, candidates.score[place], np.full(count, 1 / len(candidates)))

    def settings(self) -> dict[str, Any]:
        return {}


def test_a_generator_for_each_shopper_makes_chance_independent_of_who_else_is_asked(tiny_bundle: Path) -> None:
    recommender = replace(Recommender.load(tiny_bundle), policy=Lottery())
    states = [ShopperState(History.empty(), Context(at=AT)) for _ in range(3)]

    def drawn(*seeds: int) -> list[list[int]]:
        rng = [np.random.default_rng(seed) for seed in seeds]
        slates = recommender.answer(states[: len(seeds)], counts=[5] * len(seeds), rng=rng)
        return [[item.index for item in slate.items] for slate in slates]

    together = drawn(1, 2, 3)
    assert [drawn(seed)[0] for seed in (1, 2, 3)] == together
    assert together[0] != together[1]


def test_ids_are_read_from_text_and_from_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"shopper": ["a", None, "b"], "more": [1, 2, 3]}), tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_text("a \r\n\nb\n")
    assert read_shoppers(tmp_path / "a.parquet") == read_shoppers(tmp_path / "a.txt") == ("a", "b")


@pytest.mark.parametrize(("name", "content"), [("none.txt", None), ("empty.txt", b"\n"), ("no.parquet", b"PAR0")])
def test_a_file_that_names_nobody_is_refused_with_its_name(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=f"shoppers=.*{name}"):
        read_shoppers(tmp_path / name)


@pytest.mark.parametrize("name", ["count", "batch_shoppers", "active_days"])
def test_nothing_is_asked_for_less_than_one(files: Files, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 0; give at least 1"):
        files.write("a.parquet", **{name: 0})
