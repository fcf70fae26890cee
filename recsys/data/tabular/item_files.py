"""Reads files that describe items into a history; rows that describe none are warned of, since no event is lost."""

from collections.abc import Sequence
from logging import getLogger

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.tabular.block import Block
from recsys.data.tabular.files import TableFile
from recsys.data.tabular.item_history import EVER, ItemHistory
from recsys.data.tabular.items import ItemMapping
from recsys.data.tabular.records import Records, records_of

_log = getLogger(__name__)
ORDER_BITS = 40
"""Rows of one file are told apart by this many bits; the file's number stands before them."""


def observe_files(
    history: ItemHistory, files: Sequence[TableFile], mapping: ItemMapping, missing: Sequence[str]
) -> None:
    """Take in what the rows of `files` say; of two rows of one instant, the later one has the last word."""
    nothing = pa.array(missing, pa.string())
    wanted = sorted(mapping.wanted())
    for number, file in enumerate(files):
        for block in file.blocks(wanted):
            if block.refused:
                first = block.refused[0]
                _warn(block.origin, len(block.refused), first.row, first.reason)
            _observe(history, block, records_of(block, nothing, {}), mapping, number << ORDER_BITS)


def _observe(history: ItemHistory, block: Block, records: Records, mapping: ItemMapping, before: int) -> None:
    item_id = mapping.item_id.read(records, {}).values if mapping.item_id else pa.nulls(len(records), pa.string())
    time = np.full(len(records), EVER)
    usable = np.asarray(pc.is_valid(item_id))
    if mapping.valid_from:
        read = mapping.valid_from.read(records, {})
        known = np.asarray(pc.is_valid(read.values))
        time[known] = np.asarray(pc.drop_null(pc.cast(read.values, pa.int64())))
        usable &= known | ~np.asarray(read.given)
    bad = np.flatnonzero(~usable)
    if len(bad):
        reason = "time is unreadable" if item_id[int(bad[0])].is_valid else "item is missing"
        _warn(block.origin, len(bad), int(block.row[bad[0]]), reason)
    chosen = np.flatnonzero(usable)
    properties, unread = mapping.properties(records, {})
    for name in sorted(unread):
        _log.warning("no %s in a piece of %s could be read; look at data.item_columns", name, block.origin)
    said = pa.table(properties) if properties else pa.table({"item": item_id}).select([])
    history.observe(
        item_id.take(pa.array(chosen)), time[chosen], before + block.row[chosen], said.take(pa.array(chosen))
    )


def _warn(origin: str, rows: int, row: int, reason: str) -> None:
    _log.warning("%d rows of %s describe no item; the first is row %d: %s", rows, origin, row, reason)
