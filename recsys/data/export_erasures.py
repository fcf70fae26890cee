"""Who was erased from the service whose events lie in a folder: `erasures.json` beside them.

The service writes it with every export (`recsys-export`); whoever takes the files into a log takes the erasures, too
(`recsys/log/honour.py`). It holds no ids, but HMACs of them (`recsys/log/manifest.py`, `Erased`): guard it like the
files.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.raw_files import digest_of
from recsys.errors import SourceError
from recsys.log.disk import sync
from recsys.log.erasures import Erasures
from recsys.log.manifest import Erased

NAME = "erasures.json"
BEFORE = b"attune.before_erasure"
"""In the metadata of a file from which erased shoppers were taken: the digest of what it was at first."""


@dataclass(frozen=True, slots=True)
class ExportedErasures:
    """The erasures of a folder of exported events."""

    folder: Path

    def read(self) -> tuple[Erased, ...]:
        """Everybody who was erased; nobody where there is no such file.

        Raises:
            SourceError: the file is damaged.
        """
        return self._state()[0]

    def apply(self, erasures: Erasures) -> int:
        """Write who was erased, then take them out of every file that may hold them; how many events went.

        Whoever is killed meanwhile leaves files whole, and the next call goes on. The caller lets nobody else write to
        the folder.

        Raises:
            SourceError: a file cannot be read.
            OSError: the folder cannot be written.
        """
        before, swept = self._state()
        entries = {one.digest: one for one in (*before, *erasures.entries)}
        if len(entries) > len(before):
            swept = frozenset()
            self._write(entries.values(), swept)
        files = [path for path in sorted(self.folder.glob("*.parquet")) if not path.name.startswith(".")]
        due = [path for path in files if path.name not in swept]
        gone = sum(_sifted(path, Erasures(tuple(entries.values()))) for path in due)
        if due:
            self._write(entries.values(), [path.name for path in files])
        return gone

    def _state(self) -> tuple[tuple[Erased, ...], frozenset[str]]:
        """The erased, and the names of the files that hold none of them."""
        path = self.folder / NAME
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            return tuple(Erased(**one) for one in said["erased"]), frozenset(said["swept"])
        except FileNotFoundError:
            return (), frozenset()
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise SourceError(f"{path} cannot be read ({error}); export again after moving it away") from error

    def _write(self, entries: Iterable[Erased], swept: Sequence[str] | frozenset[str]) -> None:
        partial = self.folder / f".partial-{NAME}"
        partial.write_text(json.dumps({"erased": [asdict(one) for one in entries], "swept": sorted(swept)}))
        sync(partial)
        partial.replace(self.folder / NAME)
        sync(self.folder)


def part_digest(path: Path) -> str:
    """The digest of an exported file, as it was before erased shoppers were taken out of it: it has nothing new."""
    try:
        before = (pq.read_schema(path).metadata or {}).get(BEFORE)
    except (pa.ArrowException, OSError):
        before = None  # reading it will say what is wrong
    return digest_of(path) if before is None else str(before, "ascii")


def _sifted(path: Path, erasures: Erasures) -> int:
    """Take erased shoppers out of a file, which is replaced in one step if it held any; how many rows went."""
    try:
        events = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} cannot be read ({error}); export it again or move it away") from error
    sifted = erasures.sift(events)
    blanked = sifted.events["anonymous_id"].null_count - events.filter(pa.array(sifted.kept))["anonymous_id"].null_count
    if sifted.kept.all() and not blanked:
        return 0
    left = sifted.events.replace_schema_metadata({**(events.schema.metadata or {}), BEFORE: part_digest(path)})
    partial = path.with_name(f".partial-{path.name}")
    pq.write_table(left, partial, compression="zstd")
    sync(partial)
    partial.replace(path)
    sync(path.parent)
    return int(events.num_rows - left.num_rows)
