"""The order of a log: by shopper, instant and event id."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY

_DAY_BITS, _KEY_BITS = DAY.bit_length(), 63


def shopper_of(events: pa.Table) -> pa.ChunkedArray:
    """The shopper of every event: the user id or, for a visitor without one, `anonymous:` and the anonymous id."""
    if not events["user_id"].null_count:
        return events["user_id"]
    visitor = pc.binary_join_element_wise("anonymous", events["anonymous_id"], ":")
    return pc.coalesce(events["user_id"], visitor)


def shopper_time_order(shopper: pa.ChunkedArray, occurred_at: pa.ChunkedArray) -> np.ndarray:
    """Row order [N] by shopper id, then instant; rows that tie keep their order."""
    rank = ranked(shopper)[0]
    return np.lexsort((pc.cast(occurred_at, pa.int64()).to_numpy(), rank))


def ranked(texts: pa.ChunkedArray) -> tuple[np.ndarray, pa.StringArray]:
    """The rank of every text [N] among the different texts, and those in ascending order."""
    coded = texts.combine_chunks().dictionary_encode()
    by_text = pc.sort_indices(coded.dictionary)
    rank = np.empty(len(coded.dictionary), np.int64)
    rank[by_text.to_numpy()] = np.arange(len(rank))
    return rank[coded.indices.to_numpy()], coded.dictionary.take(by_text)


def ranked_shoppers(events: pa.Table) -> tuple[np.ndarray, pa.StringArray]:
    """`ranked(shopper_of(events))`, without the text of every row's shopper."""
    user, visitor = (events[name].combine_chunks().dictionary_encode() for name in ("user_id", "anonymous_id"))
    alone = pc.is_null(user).to_numpy(zero_copy_only=False)
    visitor_code = pc.fill_null(visitor.indices, 0).to_numpy()
    present = np.zeros(max(len(visitor.dictionary), 1), bool)
    present[visitor_code[alone]] = True
    visitors = visitor.dictionary.filter(pa.array(present[: len(visitor.dictionary)]))
    names = pa.concat_arrays([user.dictionary, pc.binary_join_element_wise("anonymous", visitors, ":")])
    rank, shoppers = _ranked_once(names)
    place = len(user.dictionary) + np.cumsum(present) - 1
    code = np.where(alone, place[visitor_code], pc.fill_null(user.indices, 0).to_numpy())
    return rank[code], shoppers


def _ranked_once(texts: pa.StringArray) -> tuple[np.ndarray, pa.StringArray]:
    """`ranked`, quicker where hardly any text is there twice."""
    by_text = pc.sort_indices(texts)
    ascending = texts.take(by_text)
    fresh = np.ones(len(texts), bool)
    fresh[1:] = pc.not_equal(ascending[1:], ascending[:-1]).to_numpy(zero_copy_only=False)
    rank = np.empty(len(texts), np.int64)
    rank[by_text.to_numpy()] = np.cumsum(fresh) - 1
    return rank, ascending if fresh.all() else ascending.filter(pa.array(fresh))


def log_order(
    day: np.ndarray, shopper_rank: np.ndarray, instant: np.ndarray, event_id: pa.ChunkedArray
) -> tuple[np.ndarray, np.ndarray]:
    """Row order [N] by day, shopper, instant and event id, and which rows [N] in that order begin a moment."""
    of_day = day.min(initial=0)
    owner = (day - of_day) * (int(shopper_rank.max(initial=0)) + 1) + shopper_rank
    time = instant - day * DAY
    if int(owner.max(initial=0)).bit_length() + _DAY_BITS < _KEY_BITS:
        order = np.argsort((owner << _DAY_BITS) + time)
    else:
        order = np.lexsort((time, owner))
    begins = np.ones(len(order), bool)
    begins[1:] = (owner[order][1:] != owner[order][:-1]) | (instant[order][1:] != instant[order][:-1])
    tied = np.flatnonzero(~begins | ~np.append(begins[1:], True))
    if len(tied):
        rows = order[tied]
        id_rank = ranked(event_id.take(pa.array(rows)))[0]
        order[tied] = rows[np.lexsort((id_rank, np.cumsum(begins)[tied]))]
    return order, begins
