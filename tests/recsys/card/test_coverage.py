"""Which columns are filled."""

from tests.recsys.card.logs import act, bought, card


def test_columns_are_counted_by_type() -> None:
    rows = [bought(0, price=1.0, channel="web"), bought(1, price=None, item="b"), act(2), act(3, consent=["ads"])]
    found = card(rows).coverage
    assert found.events == {"view": 2, "purchase": 2}
    assert found.filled["purchase"]["price"] == 1
    assert found.filled["purchase"]["channel"] == 1
    assert found.filled["view"]["consent"] == 1
    assert found.filled["view"]["price"] == 0
    assert found.share("price", "purchase") == 0.5
    assert found.share("price") == 0.25
    assert found.share("user_id") == 1.0
    assert found.share("price", "rating") == 0.0
