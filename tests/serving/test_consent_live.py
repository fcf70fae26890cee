"""Two real replicas keep to a consent from the very next answer on, whoever was told and whoever answers."""

import httpx
import pytest

from tests.serving.live import tell
from tests.serving.stores import redis_server  # noqa: F401
from tests.serving.test_identity_live import both_answer, url  # noqa: F401


@pytest.mark.parametrize("shoppers", [20])
def test_a_no_and_a_yes_count_in_the_next_answer_of_either_replica(url: str, shoppers: int) -> None:  # noqa: F811
    both_answer(url)
    with httpx.Client(base_url=url, timeout=30) as teller, httpx.Client(base_url=url, timeout=30) as asker:

        def asked(user: str) -> tuple[str, str]:
            answer = asker.post("/v1/recommendations", json={"shopper": {"user_id": user}}).json()
            assert answer["degraded"] is None
            return answer["consent"], answer["knowledge"]

        def said(user: str, *purposes: str) -> None:
            teller.put(f"/v1/shoppers/{user}/consent", json={"purposes": purposes}).raise_for_status()

        for number in range(shoppers):
            user = f"consenting-{number}"
            tell(teller, "view", "item-017", user_id=user)
            assert asked(user) == ("granted", "session")
            said(user, "training")
            assert asked(user) == ("denied", "cold")
            said(user, "personalisation")
            assert asked(user) == ("granted", "session")
