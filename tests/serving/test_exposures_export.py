"""Slates become files like events, each exactly once, and are joined to what came of them."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from recsys.data.exports import with_exports
from recsys.errors import DataError
from recsys.log.erase import Named
from recsys.log.exposures import EXPOSURE_SCHEMA, read_exposures
from recsys.log.outcomes import outcomes
from serving.exporter import export
from serving.store.protocol import OnlineStore
from tests.made_up_shop import MadeUpShop
from tests.serving.conftest import Shopfront
from tests.serving.shop import NOW
from tests.serving.test_exporting import view
from tests.serving.test_exposures import slate


def names(folder: Path) -> list[str]:
    return list(read_exposures(folder)["recommendation_id"].to_pylist())


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_each_slate_is_exported_once_whichever_store_it_is_in(store: OnlineStore, tmp_path: Path) -> None:
    await store.record_exposures([slate("a")])
    assert (await export(store, tmp_path)).slates == 0, "nothing tells this store from others yet"
    await store.append([view("e")])
    await store.record_exposures([slate("b"), slate("c")])
    assert (await export(store, tmp_path, rows=2)).slates == 3
    assert (await export(store, tmp_path)).slates == 0
    await store.record_exposures([slate("a"), slate("d")])
    done = await export(store, tmp_path)
    assert (done.slates, done.events, done.slate_number) == (1, 0, await store.last_shown())
    assert names(tmp_path) == ["a", "b", "c", "d"]


async def test_an_erased_shoppers_slates_leave_the_files_and_numbers_stay(store: OnlineStore, tmp_path: Path) -> None:
    await store.append([view("e")])
    await store.record_exposures([slate("a", user="stays"), slate("b", user="goes")])
    await export(store, tmp_path)
    await store.forget(Named("user", "goes"), at=NOW)
    assert (await export(store, tmp_path)).slates == 0
    assert names(tmp_path) == ["a"]
    assert b"goes" not in everything_in(tmp_path)
    await store.record_exposures([slate("c"), slate("d", user="goes")])
    await export(store, tmp_path)
    assert names(tmp_path) == ["a", "c", "d"]
    assert read_exposures(tmp_path)["user_id"].to_pylist() == ["stays", None, None]


async def test_what_was_shown_is_exported_whole_and_joined_to_what_came_of_it(shop: Shopfront, tmp_path: Path) -> None:
    asked = {"shopper": {"anonymous_id": "v"}, "placement": "home", "count": 3, "context": {"device": "phone"}}
    answer = (await shop.http.post("/v1/recommendations", json=asked)).json()
    said = {"anonymous_id": "v", "recommendation_id": answer["recommendation_id"]}
    events = [
        {**said, "event_id": "1", "type": "click", "item_id": answer["items"][1]["item_id"], "position": 1},
        {**said, "event_id": "2", "type": "purchase", "item_id": answer["items"][1]["item_id"]},
        {"event_id": "3", "type": "purchase", "item_id": answer["items"][0]["item_id"], "anonymous_id": "v"},
    ]
    assert (await shop.http.post("/v1/events", content=json.dumps({"events": events}))).json()["accepted"] == 3
    while (await export(shop.store, tmp_path)).slates == 0:  # it is written behind the answer's back
        pass
    found = read_exposures(tmp_path)
    assert found.schema.equals(EXPOSURE_SCHEMA)
    [row] = found.to_pylist()
    assert (row["anonymous_id"], row["device"], row["rung"], row["experiments"]) == ("v", "phone", "full", [])
    assert [item["item_id"] for item in row["items"]] == [item["item_id"] for item in answer["items"]]
    assert [item["position"] for item in row["items"]] == [0, 1, 2]
    (part,) = (part for part in with_exports(MadeUpShop(shoppers=2), tmp_path).parts() if "exports/" in part.name)
    events_table = pa.concat_tables([chunk.events for chunk in part.chunks()])
    became = outcomes(found, events_table, window_h=1)
    assert [at is not None for at in became["clicked_at"].to_pylist()] == [False, True, False]
    assert [at is not None for at in became["bought_at"].to_pylist()] == [False, True, False], "one came from elsewhere"


def test_what_is_no_file_of_slates_is_named(tmp_path: Path) -> None:
    assert read_exposures(tmp_path).num_rows == 0
    (tmp_path / "exposures").mkdir()
    (tmp_path / "exposures" / "torn.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"torn.parquet cannot be read as slates .*; move it away"):
        read_exposures(tmp_path)
