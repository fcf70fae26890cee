"""The `table` source on real logs, where they lie beside the repository."""

from collections import Counter

from recsys.data.chunk import chunks_of
from tests.recsys.data import raw_sets
from tests.recsys.data.small_logs import refused, source
from tests.recsys.data.test_table_sets import ready


def test_the_template_reads_a_piece_of_the_rees46_log_and_finds_its_torn_last_row() -> None:
    (path,) = raw_sets.real("rees46-sample/2019-Oct-sample.csv.gz")
    table = ready("table", files=str(path))
    chunks = raw_sets.chunks(table)
    assert sum(chunk.rows_in for chunk in chunks) == 17_435
    assert [(row, reason) for row, reason, _ in refused(table)] == [(17_436, "too few fields")]
    types = Counter(kind for chunk in chunks for kind in chunk.events["type"].to_pylist())
    assert types.keys() == {"view", "add_to_cart", "purchase"}
    assert types.total() == 17_434
    items = table.items()
    sold = {item_id for chunk in chunks for item_id in chunk.events["item_id"].to_pylist()}
    assert set(items["item_id"].to_pylist()) == sold
    assert items["valid_from"].null_count == 0


def test_trivago_click_outs_give_the_list_that_was_shown_and_the_click() -> None:
    (path,) = raw_sets.real("trivago-100k/trivago_val_100k.parquet")
    shown = {"item_id": "impressions[]", "price": "prices[]", "position": {"rank_in": "impressions"}}
    lists = {"column": ["impressions", "prices"], "separator": "|"}
    table = source(
        path,
        columns={
            "occurred_at": "timestamp", "type": "action_type", "user_id": "user_id", "session_id": "session_id",
            "item_id": "reference", "device": "device", "store": "platform",
            "filters": {"column": "current_filters", "separator": "|"},
        },
        time_format="epoch_s",
        type_values={"interaction item image": "view", "search for item": "view", "*": None},
        rules=[
            {
                "when": {"column": "action_type", "equals": "clickout item"},
                "events": [
                    {"type": "impression", "explode": lists, "columns": shown},
                    {"type": "click", "columns": {"position": {"rank_in": "impressions"}}},
                ],
            }
        ],
    )  # fmt: skip
    counts: Counter[str] = Counter()
    clicked_at, ids = [], set()
    for chunk in chunks_of(table):
        accounted = chunk.events.num_rows + chunk.quarantine.num_rows + sum(chunk.excluded.values())
        assert chunk.rows_in + chunk.unfolded == accounted
        counts.update(chunk.events["type"].to_pylist())
        ids.update(chunk.events["event_id"].to_pylist())
        for event in chunk.events.select(["type", "position", "price"]).to_pylist():
            if event["type"] == "click":
                clicked_at.append(event["position"])
            if event["type"] == "impression":
                assert 0 <= event["position"] < 25
                assert event["price"] > 0
    assert counts["click"] == 13_597
    assert counts["impression"] > 13_597 * 20
    assert len(ids) == counts.total()
    found = [position for position in clicked_at if position is not None]
    assert len(found) > 0.9 * len(clicked_at)
    assert Counter(found).most_common(1)[0][0] == 0, "the first hotel of a list is clicked most"
