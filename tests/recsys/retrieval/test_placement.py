"""New items among known ones, by their content."""

import numpy as np
import pyarrow as pa
import pytest

from recsys.catalogue import Catalogue
from recsys.event import ITEM_SCHEMA
from recsys.retrieval.placement import Placement

CATEGORIES = [["food", "dairy"], ["food", "bread"], ["home", "lamps"]]
BRANDS = ["north", "south"]


def rows(*items: dict[str, object]) -> pa.Table:
    plain: list[dict[str, object]] = [
        {"item_id": f"new-{place}", "title": "", "category": [], "available": True, **item}
        for place, item in enumerate(items)
    ]
    return pa.Table.from_pylist([{name: row.get(name) for name in ITEM_SCHEMA.names} for row in plain], ITEM_SCHEMA)


def catalogue(count: int = 600) -> tuple[Catalogue, np.ndarray]:
    """Items whose vectors are a sum of their category's and their brand's, and a word's."""
    rng = np.random.default_rng(0)
    category, brand, word = rng.integers(3, size=count), rng.integers(2, size=count), rng.integers(2, size=count)
    items = rows(
        *(
            {
                "item_id": f"item-{n}",
                "title": ["plain", "organic"][word[n]],
                "category": CATEGORIES[category[n]],
                "brand": BRANDS[brand[n]],
            }
            for n in range(count)
        )
    )
    effects = np.eye(6, dtype=np.float32)
    vectors = effects[category] + effects[3 + brand] + 0.5 * word[:, None] * effects[5]
    return Catalogue(items), np.concatenate([np.zeros((1, 6), np.float32), vectors]).astype(np.float32)


def test_a_new_item_lies_where_its_category_brand_and_words_put_it() -> None:
    known, vectors = catalogue()
    new = rows({"title": "organic", "category": CATEGORIES[1], "brand": "south"})
    np.testing.assert_allclose(Placement(known, vectors).of(new), [[0, 1, 0, 0, 1, 0.5]], atol=0.05)


def test_of_a_path_the_levels_that_are_known_count() -> None:
    known, vectors = catalogue()
    placed = Placement(known, vectors).of(
        rows({"category": ["food", "fish"]}, {"category": ["home", "chairs"]}, {"category": ["food", "dairy"]})
    )
    food = vectors[1:][vectors[1:, 2] == 0].mean(0)
    assert np.linalg.norm(placed[0] - food) < 0.15, "between dairy and bread"
    assert placed[1][2] > 0.8, "the only home there is"
    assert placed[2][0] > placed[0][0] + 0.2


def test_of_an_item_of_which_nothing_is_known_the_mean_is_all_there_is() -> None:
    known, vectors = catalogue()
    placed = Placement(known, vectors).of(rows({"title": "zzz", "category": ["toys"], "brand": "nobody"}, {}))
    np.testing.assert_allclose(placed, np.repeat(vectors[1:].mean(0)[None], 2, axis=0), atol=1e-5)


def test_what_few_items_show_is_believed_less() -> None:
    items = rows(*({"item_id": str(n), "brand": "often" if n < 40 else None} for n in range(60)), {"brand": "once"})
    vectors = np.zeros((62, 1), np.float32)
    vectors[1:41], vectors[61] = 1.0, 1.0
    often, once = Placement(Catalogue(items), vectors).of(rows({"brand": "often"}, {"brand": "once"}))[:, 0]
    mean = float(vectors[1:].mean())
    assert once - mean == pytest.approx((1 - mean) / 3, abs=0.05), "one item beside two that showed nothing"
    assert often - mean > 2 * (once - mean)
