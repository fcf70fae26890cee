"""`recsys-outcomes exports=FOLDER`: what became of everything that was shown, one row for each shown item."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from recsys.data.exports import exported_files
from recsys.errors import DataError
from recsys.log.disk import sync
from recsys.log.exposures import read_exposures
from recsys.log.outcomes import OUTCOMES, outcomes
from training.command import command

_NEEDED = ["type", "occurred_at", "item_id", "recommendation_id"]


def write_outcomes(config: DictConfig) -> None:
    """Join, write, and show how often what was shown was taken, by experiment, policy and release."""
    exports, target, console = Path(config.exports), Path(config.file).absolute(), Console()
    slates = read_exposures(exports)
    if not slates.num_rows:
        raise DataError(
            f"no slates are in {exports}; recsys-export writes them, recsys-serve export.folder=... does, too"
        )
    found = outcomes(slates, _events(exports), window_h=float(config.window_h))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".partial-{target.name}")
    pq.write_table(found, partial, compression="zstd")
    sync(partial)
    partial.replace(target)
    console.print(_table(found))
    console.print(
        f"{slates.num_rows:,} slates, {found.num_rows:,} shown items: {target}", highlight=False, soft_wrap=True
    )


def _events(exports: Path) -> pa.Table:
    """Those exported events that say which slate they came from."""
    found = []
    for path in exported_files(exports):
        try:
            found.append(pq.read_table(path, columns=_NEEDED, filters=pc.field("recommendation_id").is_valid()))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} cannot be read ({error}); export it again or move it away") from error
    if not found:
        raise DataError(f"no events are in {exports}; recsys-export writes them")
    return pa.concat_tables(found)


def _table(found: pa.Table) -> Table:
    table = Table("experiment", "policy", "release", "shown items", *(name.removesuffix("_at") for name in OUTCOMES))
    for key, rows in _groups(found):
        shares = (f"{100 * pc.count(rows[name]).as_py() / rows.num_rows:.2f} %" for name in OUTCOMES)
        table.add_row(*key, f"{rows.num_rows:,}", *shares)
    return table


def _groups(found: pa.Table) -> Iterator[tuple[tuple[str, str, str], pa.Table]]:
    """The rows of each combination of arms, policy and release, by these."""
    said = [", ".join(f"{name}: {arm}" for name, arm in arms) for arms in found["experiments"].to_pylist()]
    keys = list(zip(said, found["policy"].to_pylist(), found["model_version"].to_pylist(), strict=True))
    for key in sorted(set(keys)):
        yield key, found.filter(pa.array([one == key for one in keys]))


def main() -> None:
    """Entry point."""
    command("outcomes", write_outcomes)


if __name__ == "__main__":
    main()
