"""`/v1/admin/status`: everything on one page, for a browser and for a terminal."""

import logging
import re

from serving.watching.status import Section, html, percentiles, plain
from tests.serving.conftest import Shopfront

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def busy(shop: Shopfront) -> None:
    """Some traffic and some trouble."""
    for number in range(3):
        await shop.http.post("/v1/events", json={"type": "view", "item_id": "item-015", "anonymous_id": f"a{number}"})
        await shop.http.post("/v1/recommendations", json={"shopper": {"anonymous_id": f"a{number}"}})
    shop.recommender.encoder_works = False
    await shop.http.post("/v1/recommendations", json={})


async def test_curl_gets_plain_text_with_everything_on_it(shop: Shopfront) -> None:
    await busy(shop)
    answer = await shop.http.get("/v1/admin/status", headers={"accept": "*/*"})
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line.strip() for line in answer.text.splitlines()]
    for line in ("ready          yes", "release        test-1", "store          SqliteStore"):
        assert line in lines
    assert "full 3, without_model 1" in answer.text
    assert "rung full failed, answering with less" in answer.text
    for title in ("Replicas", "Events and records since the replica started", "Recent troubles"):
        assert title in lines


async def test_a_browser_gets_a_page_that_fetches_nothing_and_runs_nothing(shop: Shopfront) -> None:
    await busy(shop)
    answer = await shop.http.get("/v1/admin/status", headers=BROWSER)
    assert answer.headers["content-type"].startswith("text/html")
    [policy] = answer.headers.get_list("content-security-policy")  # of two, both would hold
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script|src=|href=|url\(|@import", answer.text)
    assert "<td>test-1</td>" in answer.text


async def test_what_went_wrong_cannot_become_part_of_the_page(shop: Shopfront) -> None:
    logging.getLogger("attune.test").warning("release <script>alert(1)</script> & co")
    answer = await shop.http.get("/v1/admin/status", headers=BROWSER)
    assert "<script" not in answer.text
    assert "release &lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in answer.text


async def test_a_store_that_cannot_be_read_is_said_and_the_rest_is_there(shop: Shopfront) -> None:
    await shop.store.close()
    answer = await shop.http.get("/v1/admin/status")
    await shop.store.open()
    assert answer.status_code == 200
    assert "no: the event store" in answer.text
    assert "Replicas" in answer.text


async def test_neither_page_names_a_shopper(shop: Shopfront) -> None:
    event = {"type": "view", "item_id": "item-015", "user_id": "secret-user", "anonymous_id": "secret-visitor"}
    await shop.http.post("/v1/events", json=event)
    await shop.http.post("/v1/recommendations", json={"shopper": {"user_id": "secret-user"}})
    for page in ("status", "metrics"):
        assert "secret" not in (await shop.http.get(f"/v1/admin/{page}")).text


def test_columns_stand_below_each_other_and_an_empty_table_says_so() -> None:
    text = plain([Section("Two", ("a", "b"), (("1", "2"), ("long", "3"))), Section("None", ("a",), ())])
    assert text == "Two\n  a     b\n  1     2\n  long  3\n\nNone\n  none\n"
    assert "<h2>None</h2><p>none</p>" in html([Section("None", ("a",), ())])


def test_percentiles_lie_between_what_was_measured() -> None:
    assert percentiles([]) is None
    assert percentiles([0.0, 1.0]) == [0.5, 0.95, 0.99]
