"""Ids used for more than one thing."""

import pyarrow as pa

from recsys.clock import DAY, HOUR
from recsys.event import ITEM_SCHEMA
from tests.recsys.by_hand import items_table
from tests.recsys.card.findings.logs import clean, found, with_rows
from tests.recsys.card.logs import START, Row, act


def signed_in(visitor: str, user: str, number: int) -> Row:
    return act((number % 50) * DAY + 12 * HOUR + number * 1_000_000, user, f"i{number % 40}", anonymous_id=visitor)


def test_an_anonymous_id_of_many_users() -> None:
    kiosk = [signed_in("kiosk", f"s{number}", number) for number in range(11)]
    warned = found(clean() + kiosk)
    assert set(warned) == {"anonymous id of many users"}
    assert "one anonymous id belongs to 11 users" in warned["anonymous id of many users"].says
    assert found(clean() + kiosk[:10]) == {}, "ten are a family"


def test_a_user_with_ever_new_anonymous_ids() -> None:
    cookies = [signed_in(f"c{number}", "s1", number) for number in range(101)]
    assert set(found(clean() + cookies)) == {"user with many anonymous ids"}
    assert found(clean() + cookies[:100]) == {}


def test_session_ids_of_several_shoppers() -> None:
    shared = [
        act(12 * HOUR + number * DAY, f"s{number + other}", f"i{number}", session_id=f"shared-{number}")
        for number in range(30)
        for other in (0, 1)
    ]
    assert set(found(clean() + shared)) == {"session ids of several shoppers"}
    assert found(clean() + shared[:4]) == {}


def test_session_ids_that_live_for_days() -> None:
    cart = [{**row, "session_id": str(row["user_id"])} for row in clean()]
    assert set(found(cart)) == {"session ids in use for days"}


def test_item_ids_given_to_another_thing() -> None:
    names = [f"i{number}" for number in range(40)]
    versions = items_table(names + names[:3])
    titles = [f"Thing {name}" for name in names] + ["Green tea", "Lamp", "Shirt"]
    versions = versions.set_column(1, ITEM_SCHEMA.field("title"), pa.array(titles))
    priceless = items_table(names).set_column(4, ITEM_SCHEMA.field("price"), pa.nulls(40, pa.float64()))
    warned = found(clean(), items=priceless, versions=versions)
    assert set(warned) == {"item ids given anew"}
    assert warned["item ids given anew"].says.startswith("3 of 40 items")


def test_prices_that_scatter_as_if_an_id_were_several_things() -> None:
    def wild(row: Row) -> Row:
        number = int(str(row["item_id"])[1:])
        late = int(row["occurred_at"]) > START + 30 * DAY  # type: ignore[call-overload]
        return {**row, "price": 500.0, "list_price": 500.0} if number < 8 and late else row

    assert set(found([wild(row) for row in clean()])) == {"items with wild prices"}


def test_duplicated_event_ids_and_acts_said_twice() -> None:
    assert set(found(clean(), summary=with_rows(duplicates=21))) == {"duplicated event ids"}
    assert found(clean(), summary=with_rows(duplicates=20)) == {}
    twice = clean()
    assert set(found(twice + twice[: len(twice) // 20])) == {"acts said twice"}
