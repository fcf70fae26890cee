"""The files of a Redis server after an erasure: written anew, so that they hold nothing of what was deleted.

The append-only file holds every command since it was last written anew (BGREWRITEAOF), a dump what there was when it
was saved (BGSAVE). Both are asked of the server and waited for. What stays out of reach, because the user in the
address may not ask for it, is said in so many words. Copies elsewhere (backups, dumps under other names, replicas that
are cut off) are the operator's to delete, and so is SLOWLOG, which names shoppers of slow commands until they are
forgotten or `SLOWLOG RESET`.

https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from redis.exceptions import NoPermissionError, ResponseError

from recsys.errors import StoreError
from serving.store.redis_script import Ask

WAIT_S = 30.0
"""How long one call waits for files to be written anew; the next one goes on waiting."""
_BUSY = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")


@dataclass(frozen=True, slots=True)
class _File:
    """One that the server writes: how, how often it began to (in INFO), whether that went well, what it holds else."""

    command: tuple[str, ...]
    count: str
    status: str
    remains: str


_APPENDED = _File(
    ("BGREWRITEAOF",),
    "aof_rewrites",
    "aof_last_bgrewrite_status",
    "the server's append-only file, until the server next rewrites it: this user may not ask for BGREWRITEAOF",
)
_DUMP = _File(
    ("BGSAVE",),
    "rdb_saves",
    "rdb_last_bgsave_status",
    "the server's dump, if it writes one, until the next: this user may not ask for BGSAVE",
)
Mark = list[str | int]
"""The run of the server, and how often it had begun to write each file."""


async def mark(ask: Ask) -> Mark:
    """What files are to be younger than."""
    facts = await _facts(ask)
    return [facts["run_id"], *(int(facts.get(file.count, 0)) for file in (_APPENDED, _DUMP))]


async def written_anew(ask: Ask, since: Mark, *, wait_s: float = WAIT_S) -> tuple[str, ...]:
    """See to it that every file is younger than the mark; those that could not be, and why.

    Raises:
        StoreError: it takes longer; ask again with the same mark.
    """
    loop = asyncio.get_running_loop()
    until, pause_s = loop.time() + wait_s, 0.02
    remains: dict[_File, str] = {}
    saves = await _saves(ask)
    while True:
        facts = await _facts(ask)
        due = [file for file in _due(facts, since, saves=saves) if file not in remains]
        is_busy = any(facts.get(name, "0") != "0" for name in _BUSY)
        if not due and not is_busy:
            return tuple(remains.values())
        if loop.time() > until:
            raise StoreError(
                f"the shopper is erased and the server still writes its files anew after {wait_s:g} s; ask again"
            )
        if not is_busy:
            try:
                await ask(*due[0].command)
            except NoPermissionError:
                remains[due[0]] = due[0].remains
            except ResponseError as refusal:  # another client was quicker, or the server has no such command
                if "unknown command" in str(refusal):
                    remains[due[0]] = due[0].remains
        await asyncio.sleep(pause_s)
        pause_s = min(1.5 * pause_s, 0.5)


def _due(facts: Mapping[str, str], since: Mark, *, saves: bool) -> list[_File]:
    run_id, appended, dumped = since
    same = facts["run_id"] == run_id

    def is_old(file: _File, began: str | int) -> bool:
        return not same or int(facts.get(file.count, 0)) <= int(began) or facts.get(file.status) != "ok"

    found = [_APPENDED] if facts.get("aof_enabled") == "1" and is_old(_APPENDED, appended) else []
    writes_dumps = saves or int(facts.get(_DUMP.count, 0)) > 0
    return [*found, _DUMP] if writes_dumps and is_old(_DUMP, dumped) else found


async def _saves(ask: Ask) -> bool:
    """Whether the server dumps now and then; where it does not say, it may."""
    try:
        said = await ask("CONFIG", "GET", "save")
    except ResponseError:
        return True
    return bool(said[1:2] and said[1])


async def _facts(ask: Ask) -> dict[str, str]:
    said = (await ask("INFO")).decode(errors="replace")
    pairs = (line.partition(":") for line in said.splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}
