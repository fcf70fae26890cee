"""`python -m tests.benchmark.freshness [--quick] [--bundle FOLDER]`: does the very next answer know what just happened?

Somebody new puts the best-selling item into the basket; once that is acknowledged, they ask at once, over another
connection, with two replicas behind the proxy. The answer is fresh if it knows them and does not offer that item.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

from serving.launch import running
from tests.benchmark.release_loading import bundle_of
from tests.benchmark.serving import launched, store_overrides

REPLICAS = 2


def replicas_behind(url: str) -> int:
    """Wait until all replicas answer, and count them."""
    seen: set[str] = set()
    deadline = time.monotonic() + 20
    while len(seen) < REPLICAS and time.monotonic() < deadline:
        seen.add(httpx.get(f"{url}/readyz").json()["replica"])
    return len(seen)


def is_fresh(teller: httpx.Client, asker: httpx.Client, visitor: str, item_id: str) -> tuple[bool, float]:
    """Whether the next answer knew, and how many milliseconds passed between the acknowledgement and it."""
    event = {"type": "add_to_cart", "anonymous_id": visitor, "item_id": item_id}
    teller.post("/v1/events", json=event).raise_for_status()
    acknowledged = time.perf_counter()
    answer = asker.post("/v1/recommendations", json={"shopper": {"anonymous_id": visitor}}).raise_for_status().json()
    took_ms = (time.perf_counter() - acknowledged) * 1_000
    offered = {item["item_id"] for item in answer["items"]}
    return answer["knowledge"] == "session" and item_id not in offered and not answer["degraded"], took_ms


def main() -> None:
    """Parse the command line, ask, report."""
    parser = argparse.ArgumentParser(description="Does the very next answer know what just happened?")
    parser.add_argument("--quick", action="store_true", help="ask 300 times instead of 10,000")
    parser.add_argument("--bundle", type=Path, help="the bundle's folder; one on a made-up log if left out")
    parser.add_argument("--store", choices=["sqlite", "redis"], default="sqlite")
    options = parser.parse_args()
    asked = 300 if options.quick else 10_000
    bundle = (options.bundle or bundle_of(5_000 if options.quick else 100_000)).absolute()
    with (
        store_overrides(options.store) as overrides,
        tempfile.TemporaryDirectory() as folder,
        running(*launched(bundle, folder, f"app.replicas={REPLICAS}", *overrides)) as server,
        httpx.Client(base_url=server.address) as teller,
        httpx.Client(base_url=server.address) as asker,
    ):
        replicas = replicas_behind(server.address)
        best_seller = asker.post("/v1/recommendations", json={}).json()["items"][0]["item_id"]
        outcomes = [is_fresh(teller, asker, f"visitor-{number}", best_seller) for number in range(asked)]
    fresh = sum(known for known, _ in outcomes)
    p50, p99 = np.percentile([took_ms for _, took_ms in outcomes], [50, 99])
    print(f"{fresh:,} of {asked:,} answers knew the event ({replicas} replicas); it took {p50:.1f} ms (p99 {p99:.1f})")
    figures = {"asked": asked, "fresh": fresh, "replicas": replicas, "p50_ms": round(float(p50), 3)}
    print(json.dumps(figures | {"store": options.store}))


if __name__ == "__main__":
    main()
