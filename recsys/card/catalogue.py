"""How well the items are described, and what of the catalogue is ever taken."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.card.ids import Numbering

_LEVELS = 6
_TOP_CATEGORIES = 12
_OTHER = "(no category)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the items' table says.

    Attributes:
        items: items described.
        versions: rows that describe them: one for every change of what was known.
        untaken: items described that nobody ever interacted with.
        undescribed: items with interactions that are not described.
        filled: by field ("title", "category", "category 2", ...), the share of the items taken that have it; a title
            that only repeats the id is none.
        weighted: the same by interactions: what share of them meets an item that has the field.
        categories: distinct categories at each level, from the widest; a path is told from equal names elsewhere.
        top: interactions by widest category, the twelve most frequent.
        renamed: items with versions whose titles have no word in common.
    """

    items: int
    versions: int
    untaken: int
    undescribed: int
    filled: dict[str, float]
    weighted: dict[str, float]
    categories: tuple[int, ...]
    top: dict[str, int]
    renamed: int


def described(items: pa.Table, versions: pa.Table, *, number: Numbering, interactions: np.ndarray) -> Described:
    """Describe `items` (the latest version of each) against what was taken.

    Args:
        items, versions: by `ITEM_SCHEMA`.
        number: the items met in the log.
        interactions: interactions of each, by number [V].
    """
    place = number.find(items["item_id"].combine_chunks())
    taken = np.append(interactions, 0)[place]  # -1, an item not met, finds the 0 at the end
    has = _fields(items)
    total = int(interactions.sum())
    taken_items = int((interactions > 0).sum())
    return Described(
        items=items.num_rows,
        versions=versions.num_rows,
        untaken=int((taken == 0).sum()),
        undescribed=taken_items - int((taken > 0).sum()),
        filled={name: _share(int((mask & (taken > 0)).sum()), taken_items) for name, mask in has.items()},
        weighted={name: _share(int(taken[mask].sum()), total) for name, mask in has.items()},
        categories=_categories(items["category"].combine_chunks()),
        top=_top(items["category"].combine_chunks(), taken, total),
        renamed=_renamed(versions),
    )


def prices_of(items: pa.Table, number: Numbering) -> np.ndarray:
    """Price in the catalogue of every item met in the log, by number [V] float64; NaN if unknown."""
    out = np.full(len(number) + 1, np.nan)
    place = number.find(items["item_id"].combine_chunks())
    out[place] = items["price"].to_numpy()
    return out[:-1]


def _fields(items: pa.Table) -> dict[str, np.ndarray]:
    """Which rows have each field, [N] bool."""
    depth = pc.fill_null(pc.list_value_length(items["category"]), 0).to_numpy()
    titled = pc.and_kleene(pc.not_equal(items["title"], items["item_id"]), pc.not_equal(items["title"], ""))
    masks = {"title": pc.fill_null(titled, False).to_numpy(), "category": depth >= 1}
    masks |= {f"category {level}": depth >= level for level in range(2, min(int(depth.max(initial=0)), _LEVELS) + 1)}
    for name in ("brand", "price", "text", "created_at", "attributes"):
        masks[name] = items[name].is_valid().to_numpy()
    return masks


def _categories(paths: pa.Array) -> tuple[int, ...]:
    counts = []
    depth = pc.fill_null(pc.list_value_length(paths), 0)
    for level in range(1, min(pc.max(depth).as_py() or 0, _LEVELS) + 1):
        deep = paths.filter(pc.greater_equal(depth, level))
        steps = [pc.list_element(deep, place) for place in range(level)]
        counts.append(len(pc.unique(pc.binary_join_element_wise(*steps, "\x1f")) if level > 1 else pc.unique(steps[0])))
    return tuple(counts)


def _top(paths: pa.Array, taken: np.ndarray, total: int) -> dict[str, int]:
    """Interactions by widest category; those without one last, if there are any."""
    depth = pc.fill_null(pc.list_value_length(paths), 0).to_numpy()
    some = np.flatnonzero(depth > 0)
    widest = pc.list_element(paths.take(pa.array(some)), 0).dictionary_encode()
    count = np.zeros(len(widest.dictionary), np.int64)
    np.add.at(count, widest.indices.to_numpy(), taken[some])
    names = widest.dictionary.to_pylist()
    order = sorted(range(len(names)), key=lambda place: (-count[place], names[place]))[:_TOP_CATEGORIES]
    top = {names[place]: int(count[place]) for place in order if count[place]}
    without = total - int(taken[some].sum())
    return {**top, _OTHER: without} if without else top


def _renamed(versions: pa.Table) -> int:
    """Items whose titles, over all versions, contain two that share no word."""
    if versions.num_rows == 0:
        return 0
    named = pa.table({"id": versions["item_id"], "title": versions["title"]}).group_by(["id", "title"]).aggregate([])
    often = named.group_by("id").aggregate([("title", "count")])
    several = often.filter(pc.greater(often["title_count"], 1))["id"]
    if not len(several):
        return 0
    changed = named.filter(pc.is_in(named["id"], several.combine_chunks())).sort_by("id")
    titles: dict[str, list[str]] = {}
    for item_id, title in zip(changed["id"].to_pylist(), changed["title"].to_pylist(), strict=True):
        titles.setdefault(item_id, []).append(title)
    return sum(_have_nothing_in_common(several_titles) for several_titles in titles.values())


def _have_nothing_in_common(titles: Iterable[str]) -> bool:
    """Whether one of `titles` shares no word with the first in alphabetical order."""
    words = [set(title.lower().split()) for title in sorted(titles)]
    return any(words[0].isdisjoint(other) for other in words[1:])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
