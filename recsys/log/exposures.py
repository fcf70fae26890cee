"""What was shown: slates as rows, one file's worth after the other, and the same with one row for each shown item.

Slates (one row is one answer):

| column | type | meaning |
|---|---|---|
| recommendation_id | string | unique; events that follow from the slate carry it |
| shown_at | timestamp[us, UTC] | when it was asked for |
| placement, device, channel, store | string | where |
| user_id, anonymous_id, session_id | string | for whom |
| policy, model_version, knowledge | string | what chose, which release, how well the shopper was known |
| rung, degraded | string | what the answer was made with (`full`, ...), and what it had to do without |
| candidates | string | digest of what the policy chose from (`recsys/fingerprint.py`) |
| experiments | map<string, string> | the arm of every experiment that the shopper takes part in |
| items | list<struct> | item_id, position (from 0), propensity, score, source, in the order shown |
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.errors import DataError

FOLDER = "exposures"
"""Where slates lie in a folder of exported events."""
_ITEM = pa.struct(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("propensity", pa.float64(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)
EXPOSURE_SCHEMA = pa.schema(
    [
        pa.field("recommendation_id", pa.string(), nullable=False),
        pa.field("shown_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("placement", pa.string(), nullable=False),
        pa.field("device", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("store", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("anonymous_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("policy", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("knowledge", pa.string(), nullable=False),
        pa.field("rung", pa.string()),
        pa.field("degraded", pa.string()),
        pa.field("candidates", pa.string()),
        pa.field("experiments", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("items", pa.list_(_ITEM), nullable=False),
    ],
    metadata={"attune.schema": "exposure", "attune.schema_version": "1"},
)
SHOWN_SCHEMA = pa.schema([*(field for field in EXPOSURE_SCHEMA if field.name != "items"), *_ITEM])


def read_exposures(exports: Path) -> pa.Table:
    """All slates in a folder that `recsys-export` writes, by `EXPOSURE_SCHEMA`, in the order of their files' names.

    Raises:
        DataError: a file cannot be read or is no export of slates.
    """
    found = [EXPOSURE_SCHEMA.empty_table()]
    for path in sorted((exports / FOLDER).glob("*.parquet")):
        if path.name.startswith("."):
            continue
        try:
            found.append(pq.read_table(path, columns=EXPOSURE_SCHEMA.names).cast(EXPOSURE_SCHEMA))
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} cannot be read as slates ({error}); move it away") from error
    return pa.concat_tables(found)


def shown(exposures: pa.Table) -> pa.Table:
    """One row for each shown item, by `SHOWN_SCHEMA`, slate after slate in the order shown."""
    items = exposures["items"].combine_chunks()
    slate = np.repeat(np.arange(len(items)), np.asarray(pc.list_value_length(items)))
    told = exposures.drop_columns(["items"]).take(slate)
    flat = pc.list_flatten(items)
    columns = [*told.columns, *(pc.struct_field(flat, name) for name in _ITEM.names)]
    return pa.table(columns, names=SHOWN_SCHEMA.names).cast(SHOWN_SCHEMA)
