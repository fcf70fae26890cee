"""Small vocabularies: the names that were seen before the cut-off as codes, everything else as "unseen"."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.errors import ConfigError

NONE = 0
"""Nothing was said."""
UNSEEN = 1
"""A name that did not occur before the cut-off, or too seldom to be among those kept."""
FIRST = 2
"""Code of the most frequent name."""
AT_MOST = 30


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names by code: `names[0]` has code `FIRST`. Empty texts count as nothing said."""

    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if len(set(self.names)) != len(self.names) or "" in self.names:
            raise ConfigError(f"the vocabulary {self.names} names something twice or not at all; list each name once")
        if len(self.names) > np.iinfo(np.int8).max - FIRST:
            raise ConfigError(f"a vocabulary of {len(self.names)} names does not fit into int8; keep fewer")

    @classmethod
    def of(cls, columns: Iterable[pa.Array | pa.ChunkedArray], *, at_most: int = AT_MOST) -> "Vocabulary":
        """The `at_most` most frequent names of all columns together; ties go by name."""
        counts: dict[str, int] = {}
        for column in columns:
            for entry in pc.value_counts(column).to_pylist():
                if entry["values"]:
                    counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
        return cls.of_counts(counts, at_most=at_most)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int], *, at_most: int = AT_MOST) -> "Vocabulary":
        """The `at_most` most frequent names, counted already; ties go by name."""
        return cls(tuple(sorted(counts, key=lambda name: (-counts[name], name))[:at_most]))

    def grown(self, later: "Vocabulary", *, at_most: int = AT_MOST) -> "Vocabulary":
        """These names at their codes, then those of a `later` vocabulary that are new, as far as there is room."""
        fresh = [name for name in later.names if name not in self.names]
        return Vocabulary((*self.names, *fresh[: max(0, at_most - len(self.names))]))

    @property
    def size(self) -> int:
        """How many codes there are."""
        return len(self.names) + FIRST

    def code(self, name: str | None) -> int:
        """The code of one name."""
        if not name:
            return NONE
        return self.names.index(name) + FIRST if name in self.names else UNSEEN

    def codes(self, column: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Codes [N] int8 of a column of names [N]."""
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        table = np.array([*(self.code(name) for name in coded.dictionary.to_pylist()), NONE], np.int8)
        place: np.ndarray = pc.fill_null(coded.indices.cast(pa.int64()), len(table) - 1).to_numpy()
        return np.asarray(table[place])
