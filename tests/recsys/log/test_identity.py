"""Links between visitors and users, and what they make of a visitor's events."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recsys.log.identity import Identity, changes_told
from tests.recsys.by_hand import event_table

NEVER = np.iinfo(np.int64).max
Step = tuple[int, str | None, str]
"""(instant, user or None, type) of one event of the visitor "v"."""


def identity(*steps: Step, pieces: int = 1) -> Identity:
    rows = [
        {"event_id": str(n), "occurred_at": at, "anonymous_id": "v", "user_id": user, "type": kind, "item_id": "a"}
        for n, (at, user, kind) in enumerate(sorted(steps, key=lambda step: step[0]))
    ]
    table = event_table(rows)
    cuts = np.linspace(0, len(rows), pieces + 1).astype(int)
    return Identity.of([changes_told(table.slice(a, b - a)) for a, b in pairwise(cuts)])


def claim(found: Identity, at: int, visitor: str = "v") -> tuple[str | None, str | None, int, int]:
    claims = found.claims(pa.array([visitor]), np.array([at]))
    return claims.user[0].as_py(), claims.adopter[0].as_py(), int(claims.adopted_at[0]), int(claims.given_back_at[0])


def test_what_came_before_the_sign_in_is_adopted_at_the_sign_in() -> None:
    found = identity((10, "ann", "view"))
    assert claim(found, 3) == (None, "ann", 10, NEVER)


def test_what_comes_after_the_sign_in_is_the_users_at_once() -> None:
    found = identity((10, "ann", "view"))
    assert claim(found, 10) == ("ann", None, NEVER, NEVER)
    assert claim(found, 99) == ("ann", None, NEVER, NEVER)


def test_an_unlink_gives_back_what_was_adopted_and_keeps_what_was_done_while_linked() -> None:
    found = identity((10, "ann", "view"), (20, "ann", "unlink"))
    assert claim(found, 3) == (None, "ann", 10, 20)
    assert claim(found, 15) == ("ann", None, NEVER, NEVER)
    assert claim(found, 25) == (None, None, NEVER, NEVER)


def test_after_an_unlink_the_next_user_adopts_only_what_came_since() -> None:
    found = identity((10, "ann", "view"), (20, "ann", "unlink"), (30, "bob", "link"))
    assert claim(found, 3) == (None, "ann", 10, 20)
    assert claim(found, 25) == (None, "bob", 30, NEVER)


def test_another_sign_in_on_the_device_ends_the_link_before_and_adopts_nothing_of_it() -> None:
    found = identity((10, "ann", "view"), (20, "bob", "view"))
    assert claim(found, 15) == ("ann", None, NEVER, NEVER)
    assert claim(found, 25) == ("bob", None, NEVER, NEVER)
    assert claim(found, 3) == (None, "ann", 10, NEVER), "what ann adopted stays hers"


def test_an_unlink_of_somebody_else_changes_nothing() -> None:
    assert claim(identity((10, "ann", "view"), (20, "bob", "unlink")), 25)[0] == "ann"


def test_a_visitor_who_never_signed_in_is_nobody() -> None:
    assert claim(identity((10, "ann", "view")), 3, visitor="w") == (None, None, NEVER, NEVER)
    assert claim(identity((10, None, "view")), 3) == (None, None, NEVER, NEVER)
    assert Identity.of([]).user_of("v", 5) is None


def test_at_a_question_only_what_came_strictly_before_is_known() -> None:
    found = identity((10, "ann", "view"), (20, "ann", "unlink"))
    assert [found.user_of("v", at) for at in (10, 11, 20, 21)] == [None, "ann", "ann", None]


STEPS = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from([None, "ann", "bob"]), st.sampled_from(["view", "unlink", "link"])),
    max_size=8,
    unique_by=lambda step: step[0],
)


@given(steps=STEPS, at=st.integers(0, 13), pieces=st.integers(1, 3))
def test_claims_are_what_walking_through_the_visitors_life_says(steps: list[Step], at: int, pieces: int) -> None:
    current, adopter, adopted_at, given_back = None, None, NEVER, NEVER
    state, owner_then = None, None
    for when, user, kind in sorted(steps, key=lambda step: step[0]):
        before = state
        if user is not None:
            state = (None if before == user else before) if kind == "unlink" else user
        if when <= at:
            owner_then = state
        elif owner_then is None and adopter is None and state is not None:
            adopter, adopted_at = state, when
        elif adopter is not None and before == adopter and state != adopter and given_back == NEVER:
            given_back = when if state is None else -1
    current = owner_then
    expected = (current, adopter, adopted_at, NEVER if given_back == -1 else given_back)
    assert claim(identity(*steps, pieces=pieces), at) == expected
