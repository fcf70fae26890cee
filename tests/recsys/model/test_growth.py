"""What an encoder knew stays what it was, wherever in the alphabet new items and names belong."""

from itertools import product

import numpy as np
import pyarrow as pa
import pytest
import torch

from recsys.catalogue import Catalogue
from recsys.errors import ConfigError
from recsys.feature.coding import Vocabulary
from recsys.feature.item import ItemCodes
from recsys.feature.spec import FeatureSpec
from recsys.feature.statistics import Statistics
from recsys.model.growth import Newcomers, grow
from recsys.model.sasrec import SASRec
from recsys.protocols import ItemTower, Similarity
from recsys.sequence.question import question_batch
from recsys.similarity.cosine import Cosine
from recsys.similarity.dot import Dot
from recsys.tower.content import Content
from recsys.tower.id import Id
from recsys.tower.id_and_content import IdAndContent
from tests.recsys.by_hand import history, items_table, spec, state

WHAT = {  # id: path, brand, price
    "b": (["Food", "Tea"], "North", 2.0),
    "d": (["Food", "Tea"], "South", 4.0),
    "f": (["Home"], "North", 8.0),
    "a": (["Food", "Bread"], "East", 1.0),
    "c": (["Food", "Tea"], "North", 3.0),
    "e": (["Garden"], "Aalto", 9.0),
}
BEFORE, AFTER = ["b", "d", "f"], list(WHAT)
EVENTS = history((1, 1), (2, 2), (3, 3), (1, 4), (2, 5))
TOWERS: list[ItemTower] = [Id(), Content(), IdAndContent()]
SIMILARITIES: list[Similarity] = [Dot(), Cosine()]


def items(ids: list[str]) -> pa.Table:
    table = items_table(ids, [WHAT[item][0] for item in ids])
    for name, values in (("brand", [WHAT[i][1] for i in ids]), ("price", [WHAT[i][2] for i in ids])):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
    return table


def known(catalogue: Catalogue, channels: Vocabulary, after: ItemCodes | None = None) -> FeatureSpec:
    token = ("gap", "channel", "category_1", "category_2", "brand", "item_price", "item_text")
    statistics = Statistics.learn(EVENTS, catalogue=catalogue, category=catalogue.categories(3)[0], after=after)
    return spec(token=token, channels=channels, statistics=statistics)


def stages() -> tuple[tuple[Catalogue, FeatureSpec], tuple[Catalogue, FeatureSpec]]:
    """Three items, and three more whose ids, brands, categories and channels come earlier in the alphabet."""
    before = Catalogue.of_table(items(BEFORE), BEFORE)
    first = known(before, Vocabulary(("web",)))
    statistics = first.learnt()
    codes = ItemCodes.of(before.items, statistics.items, statistics.prices.item)
    after = Catalogue.of_table(items(AFTER), AFTER, after=before)
    return (before, first), (after, known(after, first.channels.grown(Vocabulary(("app", "web"))), codes))


def encoder(catalogue: Catalogue, features: FeatureSpec, tower: ItemTower, similarity: Similarity) -> SASRec:
    made = SASRec(
        items=catalogue.size, features=features, dim=8, blocks=1, dropout=0.1, tower=tower, similarity=similarity
    )
    return made.eval()


def test_known_items_names_and_prices_keep_their_codes_and_new_ones_come_after() -> None:
    (before, first), (after, then) = stages()
    assert after.items["item_id"].to_pylist() == ["b", "d", "f", "a", "c", "e"]
    assert then.channels.names == ("web", "app")
    old, new = first.learnt().items, then.learnt().items
    assert old.brand.tolist() == [0, 1, 2, 1]
    assert new.brand.tolist() == [0, 1, 2, 1, 4, 1, 3]
    assert new.path[:, 0].tolist() == [0, 1, 1, 2, 1, 1, 3]
    assert new.path[:, 1].tolist() == [0, 1, 1, 0, 2, 1, 0]
    assert new.price[: before.size].tolist() == old.price.tolist()
    assert new.price[after.index_of("a")] == old.price[before.index_of("b")], "the cheapest class reaches down"
    assert old.price[1] < new.price[after.index_of("c")] <= old.price[2]


def test_a_third_stage_keeps_what_the_second_added() -> None:
    (_, _), (after, then) = stages()
    statistics = then.learnt()
    codes = ItemCodes.of(after.items, statistics.items, statistics.prices.item)
    again = known(Catalogue.of_table(items(AFTER), AFTER, after=after), then.channels, codes)
    for name in ("path", "brand", "price", "text"):
        assert getattr(again.learnt().items, name).tolist() == getattr(statistics.items, name).tolist()


def test_an_item_without_a_row_any_more_keeps_its_place_and_the_row_it_had() -> None:
    before = Catalogue.of_table(items(BEFORE), BEFORE)
    after = Catalogue.of_table(items(["a", "f", "b"]), ["a", "f"], after=before)
    assert after.items["item_id"].to_pylist() == ["b", "d", "f", "a"]
    assert after.item(2).price == 4.0


def test_a_vocabulary_grows_as_far_as_there_is_room() -> None:
    assert Vocabulary(("x", "y")).grown(Vocabulary(("z", "y", "w")), at_most=3).names == ("x", "y", "z")
    assert Vocabulary(("x", "y")).grown(Vocabulary(("z",)), at_most=1).names == ("x", "y")


@pytest.mark.parametrize(("tower", "similarity"), list(product(TOWERS, SIMILARITIES)))
def test_before_any_step_known_items_and_questions_have_the_vectors_they_had(
    tower: ItemTower, similarity: Similarity
) -> None:
    (before, first), (after, then) = stages()
    old, new = encoder(before, first, tower, similarity), encoder(after, then, tower, similarity)
    old.prime(torch.tensor([0.0, 2.0, 0.0, 1.0]))  # the second item was never learnt from
    new.prime(torch.tensor([0.0, 2.0, 2.0, 1.0, 1.0, 0.0, 1.0]))
    grow(new, old, Newcomers.of(then.learnt().items, before.size))
    with torch.no_grad():
        torch.testing.assert_close(new.item_vectors()[: before.size], old.item_vectors(), rtol=0, atol=1e-6)
        asked = [state((1, 1), (3, 2), (2, 3), at=9)]
        torch.testing.assert_close(new(question_batch(asked, then)), old(question_batch(asked, first)))
        assert bool(new.item_vectors()[1:].isfinite().all())


def test_without_content_a_new_item_starts_as_the_mean_of_its_narrowest_known_category() -> None:
    (before, first), (after, then) = stages()
    old, new = encoder(before, first, Id(), Cosine()), encoder(after, then, Id(), Cosine())
    grow(new, old, Newcomers.of(then.learnt().items, before.size))
    rows, was = new.embedder.tower(None), old.embedder.tower(None)
    tea, food, all_of_them = was[[1, 2]].mean(0), was[[1, 2]].mean(0), was[1:].mean(0)
    torch.testing.assert_close(rows[after.index_of("c")], tea)
    torch.testing.assert_close(rows[after.index_of("a")], food)
    torch.testing.assert_close(rows[after.index_of("e")], all_of_them)


def test_with_content_a_new_item_of_known_names_starts_close_to_its_like() -> None:
    torch.manual_seed(0)
    (before, first), (after, then) = stages()
    old, new = encoder(before, first, IdAndContent(), Cosine()), encoder(after, then, IdAndContent(), Cosine())
    grow(new, old, Newcomers.of(then.learnt().items, before.size))
    with torch.no_grad():
        vectors, content = new.item_vectors(), old.embedder.tower.content(torch.tensor([1]))[0]  # type: ignore[operator]
    north_tea, a_garden_chair = vectors[after.index_of("c")] @ content, vectors[after.index_of("e")] @ content
    assert north_tea > a_garden_chair + 0.2 * content.norm()


def test_a_feature_that_outgrows_the_table_of_small_ones_keeps_its_vectors() -> None:
    few, many = (spec(token=("gap", "brand"), statistics=_brands(count)) for count in (200, 300))
    old, new = (SASRec(items=count + 1, features=f, dim=4, blocks=1) for count, f in ((200, few), (300, many)))
    assert "brand" not in old.embedder.features.large
    assert "brand" in new.embedder.features.large
    grow(new, old, Newcomers.of(many.learnt().items, 201))
    one, other = old.embedder.features.tables(), new.embedder.features.tables()
    torch.testing.assert_close(other["brand"][:201], one["brand"])
    torch.testing.assert_close(other["gap"], one["gap"])


def test_another_kind_or_size_of_model_is_refused() -> None:
    (before, first), (after, then) = stages()
    newcomers = Newcomers.of(then.learnt().items, before.size)
    old = encoder(before, first, Id(), Cosine())
    with pytest.raises(ConfigError, match="cannot go on as a SASRec of"):
        grow(encoder(after, then, Id(), Dot()), old, newcomers)
    larger = SASRec(items=after.size, features=then, dim=16, blocks=1, similarity=Cosine())
    with pytest.raises(ConfigError, match="do not go into"):
        grow(larger, old, newcomers)


def _brands(count: int) -> Statistics:
    """As many items as brands."""
    ids = [f"i{number:03d}" for number in range(count)]
    table = items_table(ids, [["x"]] * count)
    place = table.schema.get_field_index("brand")
    table = table.set_column(place, table.schema.field(place), pa.array(ids))
    catalogue = Catalogue(table)
    return Statistics.learn(EVENTS, catalogue=catalogue, category=np.zeros(count + 1, np.int64))
