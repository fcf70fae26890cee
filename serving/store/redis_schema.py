"""What a Redis server must be before events are entrusted to it: recent, the primary, durable enough, of our version.

Asked of every new connection, so a server that comes back otherwise than it went is noticed. The keys (each after the
prefix of the settings and a colon; `serving/store/redis_row.py` tells what rows are):

| key | what |
|---|---|
| schema | the version of all this |
| arrived, number, first | every event as it came (a stream), how many came, the first of them |
| ids | event ids by the second in which they came, for de-duplication |
| user:ID, visitor:ID | the acts of a user, and those that carry only a visitor's id, by instant |
| told:VISITOR | events with both ids; from them follow changes:VISITOR and visitors:USER |
| consents-of-user:ID, consents-of-visitor:ID | what they said they agree to, by the last instant of each saying |
| exposure:ID | one slate |
| shown, shown_number | the ids of slates as they were recorded (a stream), how many were |
| items, revisions, revision | the latest of each item, in the order of its last change |
| notes | the notes |
| erased, erasing_key | who was erased, by the HMAC of the id; the key of these HMACs |
| receipts | the receipts of erasures, by the HMAC of the id |
| origin | what tells this store from others, once `first` may be erased |
| erasing_lock, erasing:HMAC, arrived_rows, arrived_anew | of an erasure under way, and of one that was killed |
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from redis.exceptions import ResponseError

from recsys.errors import StoreError
from serving.store.redis_row import encode, events_of
from serving.store.redis_script import Ask

VERSION = 2
OLDEST = 7
_PAGE = 1_000
Durability = Literal["always", "everysec", "none"]
RANKS: Mapping[str, int] = {"none": 0, "everysec": 1, "always": 2}
"""How much survives, from nothing to everything."""
_log = logging.getLogger("attune.store")


async def _from_1(ask: Ask, prefix: str) -> None:
    """Version 1 erased nobody (its program would take erased shoppers in again), and kept what shoppers agreed to in
    their events only: those that were not trimmed are read."""
    first = "-"
    while page := await ask("XRANGE", f"{prefix}arrived", first, "+", "COUNT", _PAGE):
        for event in events_of([row for _, (_, row) in page]):
            if event.consent is None:
                continue
            for key, name in (("consents-of-user", event.user_id), ("consents-of-visitor", event.anonymous_id)):
                if name is not None:
                    agreed = encode(sorted(set(event.consent)))
                    await ask("ZADD", f"{prefix}{key}:{name}", "GT", event.occurred_at, agreed)
        first = f"({page[-1][0].decode()}"
    await ask("SET", f"{prefix}schema", 2)


_STEPS: Mapping[int, Callable[[Ask, str], Awaitable[None]]] = {1: _from_1}
"""How keys of each older version become those of the next, given the prefix."""


async def prepare(ask: Ask, *, prefix: str, durability: Durability) -> bool:
    """Look at the server, bring its keys up to date; True where it held none.

    Raises:
        StoreError: it is too old, a replica, less durable than asked, or its keys are of a later version.
    """
    facts = _facts(await ask("INFO"))
    version = facts.get("redis_version", "0")
    if int(version.partition(".")[0]) < OLDEST:
        raise StoreError(f"it is version {version}; use Redis {OLDEST} or later, or Valkey")
    if facts.get("role") == "slave":
        raise StoreError("it is a replica, which cannot take events; name the primary in store.url")
    await _check_durability(ask, durability)
    before = await ask("GET", f"{prefix}schema")
    if before is None:  # another replica may be first
        before = await ask("SET", f"{prefix}schema", VERSION, "NX", "GET")
    held = VERSION if before is None else int(before)
    while held != VERSION:
        if held not in _STEPS:
            raise StoreError(
                f"its keys {prefix}* have schema version {held}, this program reads version {VERSION}; "
                "use the program that wrote them or choose another store.prefix"
            )
        await _STEPS[held](ask, prefix)
        held = int(await ask("GET", f"{prefix}schema"))
    return before is None


async def _check_durability(ask: Ask, durability: Durability) -> None:
    try:
        settings = await _settings(ask)
    except ResponseError as refusal:
        _log.warning(
            "whether the server keeps acknowledged events cannot be seen (%s); see to it that it has appendonly yes, "
            "appendfsync %s and maxmemory-policy noeviction",
            refusal,
            durability if RANKS[durability] else "always",
        )
        return
    faults = _faults(settings, durability)
    if faults and RANKS[durability]:
        raise StoreError(
            f"it keeps less than store.durability={durability} asks for: {'; '.join(faults)}. Set this on the server "
            f"(CONFIG SET, and CONFIG REWRITE or its configuration file), or choose another store.durability"
        )
    if settings.get("appendonly") != "yes":
        _log.warning("the server has appendonly no: acknowledged events are lost when it stops")


async def _settings(ask: Ask) -> dict[str, str]:
    names = ("appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory", "maxmemory-policy")
    said = [part.decode() for part in await ask("CONFIG", "GET", *names)]
    return dict(zip(said[::2], said[1::2], strict=True))


def _faults(settings: Mapping[str, str], durability: Durability) -> list[str]:
    """What must be otherwise, each with the remedy."""
    found, asked = [], RANKS[durability]
    if settings.get("appendonly") != "yes":
        found.append("appendonly is no, must be yes")
    if RANKS.get(settings.get("appendfsync", ""), 0) < asked:
        found.append(f"appendfsync is {settings.get('appendfsync')}, must be {durability}")
    if asked == RANKS["always"] and settings.get("no-appendfsync-on-rewrite") == "yes":
        found.append("no-appendfsync-on-rewrite is yes, must be no")
    if settings.get("maxmemory", "0") != "0" and settings.get("maxmemory-policy") != "noeviction":
        found.append(f"maxmemory-policy is {settings.get('maxmemory-policy')}, must be noeviction")
    return found


def _facts(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode(errors="replace").splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}
