"""One file of answers from beginning to end: log, histories, tasks, file."""

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from recsys.clock import DAY, Clock, to_datetime
from recsys.consent import Rule, Rules
from recsys.errors import ConfigError, DataError
from recsys.log.engine import Engine
from recsys.log.reader import EventLog
from recsys.log.writer import log_folder, write_log
from recsys.protocols import Source
from recsys.recommender import Recommender
from recsys.retrieval.filter.expression import Filter
from recsys.sequence.gather import gather, read_histories
from recsys.sequence.survey import Survey
from training.provenance import code_digest
from training.scoring.answers_file import Scored, parts_joined
from training.scoring.shoppers import write_asked
from training.scoring.stock import Stock
from training.scoring.task import Asking, ScoreTask, released, score

_PLAN = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What shall be answered, and where to.

    Attributes:
        bundle: the release's folder.
        outputs: below it lie the log and, unless `answers` says otherwise, the file.
        answers: the Parquet file; None names it after the data and the instant.
        at: the instant of the question, microseconds UTC; None is just after the log's last event.
        wanted: what alone may be shown; None for whatever is in stock at the instant.
        shoppers: only these; None asks about all.
        active_days: only about shoppers who did something within so many days before `at`; None: whenever it was.
        batch_shoppers: so many make a task, and a row group of the file.
        consent: shoppers who do not agree to personalisation by now are left out.
    """

    bundle: Path
    outputs: Path
    answers: Path | None = None
    at: int | None = None
    count: int = 10
    exclude_seen: bool = False
    wanted: Filter | None = None
    shoppers: tuple[str, ...] | None = None
    active_days: int | None = None
    channel: str | None = None
    device: str | None = None
    batch_shoppers: int = 512
    seed: int = 7
    consent: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        for name in ("count", "batch_shoppers", "active_days"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ConfigError(f"{name} is {value}; give at least 1")


def score_shoppers(
    source: Source, wanted: Wanted, engine: AbstractContextManager[Engine], console: Console, *, clock: Clock
) -> Path:
    """Write the answers of a release for the shoppers of a source's log; returns the file.

    A run that was interrupted is gone on with: what the same question answered about the same log before stays.
    """
    with engine as running:
        folder = log_folder(source, wanted.outputs)
        write_log(source, folder, engine=running, tell=console.print)
        recommender = released(wanted.bundle)
        with console.status("gathering everybody's history ..."):
            histories, last = _histories(EventLog(folder), recommender, running, wanted.consent.personalisation)
        at = last + 1 if wanted.at is None else wanted.at
        if at <= recommender.data_end:
            learnt, asked = (to_datetime(instant).isoformat() for instant in (recommender.data_end, at))
            warning = f"the release learnt from events up to {learnt}, later than at={asked}: these answers know them"
            console.print(warning, style="yellow")
        name = f"{source.name}-{to_datetime(at):%Y%m%dT%H%M%S}.parquet"
        path = wanted.answers or wanted.outputs / "answers" / name
        with console.status("looking up what is on offer ..."):
            stock = Stock.of(EventLog(folder), recommender, at=at)
        if len(stock.items):
            came, changed = stock.newcomers, len(stock.items) - stock.newcomers
            console.print(f"on offer: {came:,} items came after the training, {changed:,} have changed since")
        offered = stock.write(EventLog(folder).cache_folder)
        asking = _asking(wanted, histories, offered, at=at, generated_at=clock.now())
        work = path.with_name(f"{path.name}.parts")
        tasks = _tasks(asking, wanted, work, version=recommender.model_version)
        started, done = time.perf_counter(), sum(task.part.exists() for task in tasks)
        if done:
            console.print(f"{done} of {len(tasks)} parts are there from a run that was interrupted")
        scored = _run(tasks, running, console)
        took_s = time.perf_counter() - started
    parts_joined([task.part for task in tasks], path)
    shutil.rmtree(work)
    _report(scored, path, console, took_s=None if done else took_s)
    return path


def _asking(wanted: Wanted, histories: Path, stock: Path, *, at: int, generated_at: int) -> Asking:
    return Asking(
        bundle=wanted.bundle,
        histories=histories,
        stock=stock,
        at=at,
        count=wanted.count,
        exclude_seen=wanted.exclude_seen,
        wanted=None if wanted.wanted is None else json.dumps(wanted.wanted.to_json(), sort_keys=True),
        active_since=None if wanted.active_days is None else at - wanted.active_days * DAY,
        named=wanted.shoppers is not None,
        channel=wanted.channel,
        device=wanted.device,
        seed=wanted.seed,
        generated_at=generated_at,
    )


def _histories(whole: EventLog, recommender: Recommender, engine: Engine, rule: Rule) -> tuple[Path, int]:
    """The folder of the history of everybody who agrees, as the release codes it, and the instant of the last event."""
    log = whole.of_the_willing(rule)
    survey = Survey.of(log, until=None)
    if log.unwilling is not None and not survey.events:
        raise DataError("no shopper of the log agrees to personalisation, so there is nobody to answer; see consent=")
    memory = recommender.features.memory
    parts = [log.fingerprint, recommender.model_version, str(memory), code_digest()]
    parts += [repr(rule)] if log.unwilling is not None else []
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    folder = log.cache_folder / f"histories-{key}"
    gather(log, survey, recommender.coding, folder, lookback=memory, engine=engine)
    if EventLog(log.folder).fingerprint != log.fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"{log.folder} was altered while it was read (new rows, or an erasure); start again")
    return folder, survey.last


def _tasks(asking: Asking, wanted: Wanted, work: Path, *, version: str) -> list[ScoreTask]:
    """The tasks, whose parts lie in `work`; parts of another question are removed, those of the same are kept."""
    who = None if wanted.shoppers is None else hashlib.sha256("\n".join(wanted.shoppers).encode()).hexdigest()
    plan = {**asdict(asking), "version": version, "batch_shoppers": wanted.batch_shoppers, "who": who}
    plan = json.loads(json.dumps({name: value for name, value in plan.items() if name != "generated_at"}, default=str))
    try:
        begun = json.loads((work / _PLAN).read_text())
    except (OSError, ValueError):
        begun = {}
    if begun.pop("generated_at", None) is None or begun != plan:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        (work / _PLAN).write_text(json.dumps({**plan, "generated_at": asking.generated_at}))
    else:
        asking = replace(asking, generated_at=json.loads((work / _PLAN).read_text())["generated_at"])
    asked = work / "asked.arrow"
    count = write_asked(asked, read_histories(asking.histories), wanted.shoppers)
    return [
        ScoreTask(
            asking=asking,
            asked=asked,
            begin=begin,
            end=min(begin + wanted.batch_shoppers, count),
            part=work / f"{begin // wanted.batch_shoppers:08d}.parquet",
        )
        for begin in range(0, count, wanted.batch_shoppers)
    ]


def _run(tasks: Sequence[ScoreTask], engine: Engine, console: Console) -> Scored:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shoppers = without_items = rows = 0
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("shoppers", total=tasks[-1].end if tasks else 0)
        for task, done in zip(tasks, engine.run(score, tasks), strict=True):
            shoppers, rows = shoppers + done.shoppers, rows + done.rows
            without_items += done.without_items
            progress.update(bar, completed=task.end)
    return Scored(shoppers, without_items, rows)


def _report(scored: Scored, path: Path, console: Console, *, took_s: float | None) -> None:
    pace = f", {scored.shoppers / took_s:,.0f} shoppers/s" if took_s else ""
    console.print(f"{scored.shoppers:,} shoppers, {scored.rows:,} rows{pace}")
    if scored.without_items:
        console.print(f"{scored.without_items:,} of them got no item: they have no rows", style="yellow")
    console.print(f"answers: {path}", soft_wrap=True)
