"""Who shops."""

from recsys.clock import DAY
from tests.recsys.card.logs import act, bought, card


def test_known_shoppers_and_visitors_and_their_acts() -> None:
    rows = [act(0, "ann"), act(DAY, "ann"), bought(DAY, "ann", "b"), act(0, None, anonymous_id="v")]
    found = card([*rows, act(5, "bob", type="impression")]).shoppers
    assert (found.count, found.known) == (2, 1), "who only was shown something did nothing"
    assert (found.acts, found.known_acts) == (4, 3)
    assert (found.two_moments, found.moments.least, found.moments.most) == (1, 1.0, 2.0)


def test_a_basket_is_one_moment() -> None:
    found = card([bought(0, item=item) for item in "abc"]).shoppers
    assert (found.acts, found.moments.most, found.two_moments) == (3, 1.0, 0)


def test_a_placeholder_is_told_by_what_it_does() -> None:
    people = [act(number, f"s{number}") for number in range(100)]
    crowd = [act(number, "null") for number in range(50)]
    nobody = [act(number, None, anonymous_id="unknown") for number in range(60)]
    assert card(people + crowd + nobody).shoppers.placeholders == {"null": 50, "anonymous:unknown": 60}
    assert card([*people, act(0, "0"), act(5, "0")]).shoppers.placeholders == {}, "a shopper called 0 like others"
    things = [act(number, item=f"i{number}") for number in range(100)] + [
        act(number, item="-1") for number in range(50)
    ]
    assert card(things).popularity.placeholders == {"-1": 50}
