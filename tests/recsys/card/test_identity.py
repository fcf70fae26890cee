"""How ids hang together."""

from recsys.card.identity import Identity, IdentityMeasure
from recsys.clock import DAY
from tests.recsys.card.logs import Row, act, card, pieces


def identity(*rows: Row) -> Identity:
    return card(rows).identity


def seen(visitor: str, user: str | None, at: int = 0, **more: object) -> Row:
    return act(at, user, anonymous_id=visitor, **more)


def test_links_are_counted_once_from_both_sides() -> None:
    rows = [seen("v", "ann"), seen("v", "ann", DAY), seen("v", "bob"), seen("w", "ann"), seen("x", None), act(0, "cem")]
    found = identity(*rows)
    assert (found.links, found.linked_anonymous, found.linked_users) == (3, 2, 2)
    assert (found.shared_anonymous, found.most_users, found.most_anonymous) == (1, 2, 2)


def test_unlinking_is_no_link() -> None:
    assert identity(seen("v", "ann", type="unlink", item_id=None)).links == 0


def test_a_session_of_two_users_is_shared_a_sign_in_within_it_is_not() -> None:
    shared = [seen("v", "ann", session_id="1"), seen("v", "bob", DAY // 2, session_id="1")]
    signed_in = [seen("v", None, session_id="2"), seen("v", "ann", 5, session_id="2")]
    two_devices = [seen("v", "ann", session_id="3"), seen("w", "ann", DAY - 1, session_id="3")]
    found = identity(*shared, *signed_in, *two_devices, seen("v", "ann"))
    assert (found.session_ids, found.shared_sessions, found.sampled) == (3, 2, 1.0)
    over_midnight = identity(act(0, "ann", session_id="s"), act(DAY, "bob", session_id="s"))
    assert over_midnight.shared_sessions == 1


def test_a_session_id_is_long_after_a_day() -> None:
    found = identity(
        *(act(at, session_id="day") for at in (0, DAY)), *(act(at, session_id="week") for at in (0, 3 * DAY, 7 * DAY))
    )
    assert (found.session_ids, found.long_sessions) == (2, 1)


def test_many_session_ids_are_sampled() -> None:
    rows = [act(number, f"s{number % 7}", session_id=f"session {number // 2}") for number in range(2_000)]
    _crowd, days = pieces(rows)
    measure = IdentityMeasure(most=400)
    for day in days:
        measure.add(day)
    found = measure.result()
    assert found.sampled == 0.25, "1,000 ids do not fit into 400, nor does half of them"
    assert 800 < found.session_ids < 1_200
    assert found.shared_sessions == found.session_ids * found.sampled, "each of these has two shoppers"


def test_without_ids_nothing_hangs_together() -> None:
    found = identity(act(0))
    assert (found.links, found.session_ids, found.most_users, found.shared_sessions) == (0, 0, 0, 0)
