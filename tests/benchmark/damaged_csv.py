"""`python -m tests.benchmark.damaged_csv [--quick]`: half a million rows, 1 % of them damaged in ten different ways.

The rows are made up, 500 of each kind of damage are put at random places (the file's last line, cut off in the midst,
is one of those with too few fields), and about 1,000 sound rows come twice. A process of its own ingests the file
through the `table` source and `write_log`; then every damaged row must lie in quarantine, under its line number, for
its own reason.

| key | meaning |
|---|---|
| rows_per_s | raw rows per second, from the file to the log on the disk |
| peak_gib | the most memory that the ingesting process held at once |
| unaccounted_rows | rows in, less events, duplicates and quarantined rows: must be 0 |
| misjudged_rows | damaged rows that were not refused for their reason, and sound ones that were refused: must be 0 |
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.clock import DAY, ManualClock, parse_instant
from recsys.data.table import TableSource
from recsys.log.reader import EventLog
from recsys.log.writer import write_log

ROWS, QUICK_ROWS = 500_000, 100_000
DAMAGED_SHARE = 0.01
REPEATED = 1_000
START = parse_instant("2024-01-01")
DAYS = 60
HEADER = "time,type,shopper,item,quantity,price,category,note,id"
TYPES = np.array(["view", "view", "view", "cart", "purchase"])

Fields = list[bytes]


@dataclass(frozen=True, slots=True)
class Damage:
    """A way to spoil a row, and the reason for which it must be refused."""

    kind: str
    reason: str
    spoil: Callable[[Fields], bytes]


def put(place: int, value: bytes) -> Callable[[Fields], bytes]:
    """Another value in one field."""
    return lambda fields: b",".join([*fields[:place], value, *fields[place + 1 :]])


DAMAGES = (
    Damage(
        "a quote that is never closed", "a quote is not closed", lambda f: b",".join([*f[:7], b'"never closed', f[8]])
    ),
    Damage("too few fields", "too few fields", lambda f: b",".join(f[:5])),
    Damage("too many fields", "too many fields", lambda f: b",".join([*f, b"more", b""])),
    Damage("bytes that are not UTF-8", "is not UTF-8", put(7, b"gr\xfcn")),
    Damage("a time that is none", "time is unreadable", put(0, b"yesterday noon")),
    Damage("a time in the future", "time is in the future", put(0, b"2124-01-01T00:00:00Z")),
    Damage("an unknown type", "type is unknown", put(1, b"teleport")),
    Damage("no shopper", "shopper is missing", put(2, b"")),
    Damage("a negative price", "price is negative", put(5, b"-9.99")),
    Damage("a NUL byte", "holds a NUL byte", put(7, b"a\0b")),
)


@dataclass(frozen=True, slots=True)
class Planted:
    """Line numbers by the reason for which they must be refused, and how many sound rows come a second time."""

    lines: dict[str, set[int]]
    repeated: int


def write_csv(path: Path, rows: int, seed: int = 7) -> Planted:
    """Write the file."""
    rng = np.random.default_rng(seed)
    each = round(rows * DAMAGED_SHARE / len(DAMAGES))
    places = np.append(rng.permutation(rows - 1)[: each * len(DAMAGES) - 1], rows - 1)
    last = next(number for number, one in enumerate(DAMAGES) if one.kind == "too few fields")
    kinds = (np.arange(len(places)) + 1 + last) % len(DAMAGES)
    damage_of = dict(zip(places.tolist(), kinds.tolist(), strict=True))
    planted: dict[str, set[int]] = {damage.reason: set() for damage in DAMAGES}
    repeated, before = 0, []
    with path.open("wb") as file:
        file.write(HEADER.encode() + b"\n")
        for number, fields in enumerate(_sound_rows(rows, rng, damage_of)):
            damage = DAMAGES[damage_of[number]] if number in damage_of else None
            if damage is not None:
                planted[damage.reason].add(number + 2)
            repeated += fields == before
            before = fields
            file.write(b",".join(fields) if damage is None else damage.spoil(fields))
            file.write(b"\n" if number < rows - 1 else b"")
    return Planted(planted, repeated)


def _sound_rows(rows: int, rng: np.random.Generator, damaged: dict[int, int]) -> Iterator[Fields]:
    """Rows in order of time; some of the sound ones come a second time in place of another."""
    instants = np.sort(rng.integers(START, START + DAYS * DAY, rows))
    texts = np.datetime_as_string(instants.astype("datetime64[us]"), unit="s")
    shoppers, items = rng.integers(0, rows // 20, rows), rng.zipf(1.3, rows) % 20_000
    kinds, cents = TYPES[rng.integers(0, len(TYPES), rows)], rng.integers(99, 9_999, rows)
    sound = np.setdiff1d(np.arange(1, rows), [*damaged, *(place + 1 for place in damaged)])
    repeats = set(rng.choice(sound, min(REPEATED, rows // 100), replace=False).tolist())
    last: Fields = []
    for number in range(rows):
        if number not in repeats or number - 1 in repeats:
            price = f"{cents[number] / 100:.2f}"
            row = (
                f"{texts[number]}Z,{kinds[number]},s{shoppers[number]},i{items[number]},1,{price},"
                f'c{items[number] % 50},"a ""quoted"" note",e{number}'
            )
            last = row.encode().split(b",")
        yield last


def table(path: Path) -> TableSource:
    """The source that reads the file."""
    return TableSource(
        files=str(path),
        columns={
            "event_id": "id",
            "occurred_at": "time",
            "type": "type",
            "user_id": "shopper",
            "item_id": "item",
            "quantity": "quantity",
            "price": "price",
        },
        type_values={"cart": "add_to_cart"},
        item_columns={"category": "category"},
        cutoff=START + (DAYS - 7) * DAY,
        licence="made up",
        time_zone="UTC",
        name="damaged",
        clock=ManualClock(START + DAYS * DAY),
    )


def ingest(path: Path, log: Path) -> None:
    """Write the log and print what it took."""
    began = time.perf_counter()
    write_log(table(path), log)
    took_s = time.perf_counter() - began
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"took_s": took_s, "peak_gib": peak_gib}))


def measured(path: Path, log: Path) -> dict[str, float]:
    """What ingesting takes, in a process that does nothing else."""
    command = [sys.executable, "-m", "tests.benchmark.damaged_csv", "--ingest", str(path), str(log)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def judged(log: EventLog, planted: Planted) -> tuple[list[dict[str, object]], int]:
    """What was planted and found of each kind, and how many rows were misjudged."""
    refused = log.quarantine()
    found: dict[str, set[int]] = {}
    for row, reason in zip(refused["row"].to_pylist(), refused["reason"].to_pylist(), strict=True):
        found.setdefault(reason, set()).add(row)
    rows: list[dict[str, object]] = []
    for damage in DAMAGES:
        rightly = planted.lines[damage.reason] & found.get(damage.reason, set())
        rows.append(
            {
                "damage": damage.kind,
                "refused because": damage.reason,
                "planted": len(planted.lines[damage.reason]),
                "found": len(rightly),
            }
        )
    duplicates = log.summary.duplicates
    rows.append(
        {
            "damage": "(a sound row again)",
            "refused because": "(kept once)",
            "planted": planted.repeated,
            "found": duplicates,
        }
    )
    reasons = {*planted.lines, *found}
    wrong = sum(len(planted.lines.get(reason, set()) ^ found.get(reason, set())) for reason in reasons)
    return rows, wrong + abs(planted.repeated - duplicates)


def main() -> None:
    """Parse the command line, plant, ingest, compare, report."""
    parser = argparse.ArgumentParser(description="A CSV of half a million rows, 1 % of them damaged in ten ways.")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS:,} rows")
    parser.add_argument("--ingest", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ingest:
        ingest(*options.ingest)
        return
    from tests.benchmark.report import report  # here, because torch must not count as memory of the ingest

    rows = QUICK_ROWS if options.quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "damaged.csv", Path(folder) / "log"
        planted = write_csv(path, rows)
        took = measured(path, log)
        kinds, misjudged = judged(EventLog(log), planted)
        summary = EventLog(log).summary
    unaccounted = summary.rows_in - summary.events - summary.duplicates - summary.quarantined
    counts = f"{summary.rows_in:,} rows in = {summary.events:,} events + {summary.duplicates:,} duplicates"
    result = {
        "rows_per_s": round(rows / took["took_s"]),
        "peak_gib": round(took["peak_gib"], 3),
        "unaccounted_rows": unaccounted + rows - summary.rows_in,
        "misjudged_rows": misjudged,
        "rows_in": summary.rows_in,
        "events": summary.events,
        "duplicates": summary.duplicates,
        "quarantined": summary.quarantined,
        "kinds": len(DAMAGES),
    }
    report(f"{counts} + {summary.quarantined:,} quarantined", kinds, result)


if __name__ == "__main__":
    main()
