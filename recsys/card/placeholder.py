"""Ids that stand for no one: what a tracker writes when it does not know."""

import numpy as np
import pyarrow as pa

from recsys.card.ids import Numbering

_WORDS = (
    *("", "0", "-1", "null", "NULL", "Null", "none", "None", "NONE", "nan", "NaN", "n/a", "N/A", "NA", "undefined"),
    *("unknown", "Unknown", "UNKNOWN", "anonymous", "guest", "Guest", "test", "default", "(not set)", "(none)"),
    "00000000-0000-0000-0000-000000000000",
)
_TEXTS = pa.array([prefix + word for prefix in ("", "anonymous:") for word in _WORDS])
_TIMES_THE_MEAN = 20


def crowded_placeholders(number: Numbering, count: np.ndarray) -> dict[str, int]:
    """Placeholders that are counted over twenty times as often as ids are on average, with their counts.

    An id such as "0" may be real; one that does what nobody else does is not. `count` is by number.
    """
    found = number.find(_TEXTS)
    usual = _TIMES_THE_MEAN * count.sum() / max(int((count > 0).sum()), 1)
    texts = _TEXTS.to_pylist()
    return {
        texts[place]: int(count[found[place]])
        for place in np.flatnonzero(found >= 0).tolist()
        if found[place] < len(count) and count[found[place]] > usual
    }
