"""Short ways to lay out the raw files of public data sets and to look at what their adapters give."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from recsys.data.chunk import SourceChunk, chunks_of
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA, QUARANTINE_SCHEMA
from recsys.protocols import Source

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def real(*names: str) -> list[Path]:
    """Real files beside the repository; without them the test is skipped."""
    paths = [SHARED / name for name in names]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        pytest.skip(f"{missing[0].name} is not in ../shared/data")
    return paths


def lay(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def chunks(source: Source) -> list[SourceChunk]:
    """All chunks, after checking that they have the right columns and account for every row."""
    read = list(chunks_of(source))
    for chunk in read:
        assert chunk.events.schema.equals(EVENT_SCHEMA)
        assert chunk.quarantine.schema.equals(QUARANTINE_SCHEMA)
        accounted = chunk.events.num_rows + chunk.quarantine.num_rows + sum(chunk.excluded.values())
        assert chunk.rows_in + chunk.unfolded == accounted
        required = [field.name for field in EVENT_SCHEMA if not field.nullable]
        assert not any(chunk.events[name].null_count for name in required)
    return read


def event_table(source: Source) -> pa.Table:
    return pa.concat_tables([chunk.events for chunk in chunks(source)])


def events(source: Source) -> list[dict[str, object]]:
    return event_table(source).to_pylist()


def refused(source: Source) -> list[tuple[str, int, str, str]]:
    """File, row, reason and original text of what was refused."""
    rows = [row for chunk in chunks(source) for row in chunk.quarantine.to_pylist()]
    return [(row["origin"], row["row"], row["reason"], row["raw"]) for row in rows]


def items(source: Source) -> list[dict[str, object]]:
    table = source.items()
    assert table.schema.equals(ITEM_SCHEMA)
    table.validate(full=True)
    assert not any(table[field.name].null_count for field in ITEM_SCHEMA if not field.nullable)
    return table.to_pylist()


def reads_the_same_again(source: Source) -> bool:
    """Whether a second reading gives the very same parts, events, refusals and items."""
    first, second = chunks(source), chunks(source)
    digests = [[(part.name, part.digest) for part in source.parts()] for _ in range(2)]
    return (
        digests[0] == digests[1]
        and all(
            one.events.equals(two.events) and one.quarantine.equals(two.quarantine)
            for one, two in zip(first, second, strict=True)
        )
        and source.items().equals(source.items())
    )


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(row: dict[str, object], *names: str) -> tuple[object, ...]:
    return tuple(row[name] for name in names)


def ingested(choice: str, file: Path, outputs: Path) -> str:
    """What the command says, in one line, that gets nothing but the choice of `data` and the path of a file."""
    command = [sys.executable, "-m", "training.ingest", f"data={choice}", str(file), f"outputs={outputs}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert result.returncode == 0, result.stderr
    return " ".join(result.stdout.split())


def parts_that_change(source: Source, edited: Path, line: str) -> list[str]:
    """The names of the parts that have another digest once `line` stands at the end of a file."""
    before = {part.name: part.digest for part in source.parts()}
    with edited.open("a") as raw:
        raw.write(f"{line}\n")
    return [part.name for part in source.parts() if before[part.name] != part.digest]
