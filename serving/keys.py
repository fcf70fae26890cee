"""`python -m serving.keys`, also `recsys-keys`: make, list, replace and revoke API keys."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conf.overrides import check_command_line
from recsys.clock import DAY, HOUR, Clock, SystemClock, to_datetime
from recsys.errors import ConfigError, RecsysError
from serving.security.key import Key, Kind, digest_of, draw
from serving.security.keyring import change, read
from serving.security.scope import PUBLISHABLE, Scope
from serving.store.protocol import OnlineStore


def main() -> None:
    """Entry point; status 2 for a command line that does not compose, 1 where nothing could be done."""
    if problem := check_command_line("keys"):
        Console(stderr=True).print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    _keys()


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="keys")
def _keys(config: DictConfig) -> None:
    try:
        asyncio.run(_done(config, Console(highlight=False, soft_wrap=True)))
    except RecsysError as failure:
        sys.exit(f"error: {failure}")


async def _done(config: DictConfig, console: Console) -> None:
    asked = [name for name in _ACTIONS if config[name] is not None]
    if len(asked) > 1:
        raise ConfigError(f"{' and '.join(asked)} are asked for at once; do one after the other")
    store: OnlineStore = instantiate(config.store)
    await store.open()
    try:
        await (_ACTIONS[asked[0]] if asked else _listed)(config, store, console)
    finally:
        await store.close()


async def _listed(config: DictConfig, store: OnlineStore, console: Console) -> None:
    keys, now = (await read(store)).keys, SystemClock().now()
    if not keys:
        console.print("There are no keys. recsys-keys create=NAME scopes=[admin] makes one; --help tells more.")
        return
    table = Table("id", "name", "kind", "scopes", "made", "ends", "pages", show_edge=False)
    for key in keys:
        made, pages = _written(key.created_at), ", ".join(key.origins)
        ends = "never" if key.ends_at is None else _written(key.ends_at) + ("" if key.lives(now) else " (ended)")
        scopes = ", ".join(sorted(key.scopes))
        table.add_row(*map(escape, (key.id, key.name, key.kind.name.lower(), scopes, made, ends, pages)))
    console.print(table)


async def _created(config: DictConfig, store: OnlineStore, console: Console) -> None:
    key, text = made(config, SystemClock())
    await change(store, SystemClock(), lambda keys: keys.with_key(key))
    _show(key, text, console)


async def _rotated(config: DictConfig, store: OnlineStore, console: Console) -> None:
    now = SystemClock().now()
    old = (await read(store)).named(str(config.rotate), now=now)
    if not old.lives(now):
        raise ConfigError(f"key {old.id} ({old.name}) has ended; make a new one with create=")
    name, text = draw(old.kind)
    key = replace(old, id=name, digest=digest_of(text), created_at=now)
    ends_at = now + int(config.grace_h * HOUR)
    await change(store, SystemClock(), lambda keys: keys.with_key(key).ending(old.id, ends_at))
    _show(key, text, console)
    console.print(f"{old.id} goes on until {_written(ends_at)}.")


async def _revoked(config: DictConfig, store: OnlineStore, console: Console) -> None:
    now = SystemClock().now()
    key = (await read(store)).named(str(config.revoke), now=now)
    await change(store, SystemClock(), lambda keys: keys.ending(key.id, now))
    console.print(f"{key.id} ({escape(key.name)}) is revoked.")


_ACTIONS: Mapping[str, Callable[[DictConfig, OnlineStore, Console], Awaitable[None]]] = {
    "create": _created,
    "rotate": _rotated,
    "revoke": _revoked,
}


def made(config: DictConfig, clock: Clock) -> tuple[Key, str]:
    """The key that `conf/keys.yaml` describes and its text; ConfigError for one that cannot be."""
    kind = Kind.PUBLISHABLE if config.publishable else Kind.SECRET
    if config.origins and not config.publishable:
        raise ConfigError("origins= are for publishable keys; set publishable=true, or leave the pages out")
    name, text = draw(kind)
    now = clock.now()
    key = Key(
        id=name,
        name=str(config.create),
        kind=kind,
        scopes=frozenset(map(_scope, config.scopes)) or (PUBLISHABLE if config.publishable else frozenset()),
        digest=digest_of(text),
        created_at=now,
        ends_at=None if config.lasts_days is None else now + int(config.lasts_days * DAY),
        origins=tuple(map(str, config.origins)),
        names_users=bool(config.names_users) or not config.publishable,
        rate_per_s=None if config.rate_per_s is None else float(config.rate_per_s),
        burst=None if config.burst is None else int(config.burst),
    )
    return key, text


def _scope(said: object) -> Scope:
    try:
        return Scope(str(said))
    except ValueError:
        raise ConfigError(f"there is no scope {said!r}; choose of {', '.join(Scope)}") from None


def _show(key: Key, text: str, console: Console) -> None:
    console.print(f"{escape(text)}\n", style="bold")
    console.print(
        f"This is {key.kind.name.lower()} key {key.id} ({escape(key.name)}). Keep it now: it is not kept here."
    )


def _written(instant: int) -> str:
    return to_datetime(instant).isoformat(sep=" ", timespec="minutes").removesuffix("+00:00") + " UTC"


if __name__ == "__main__":
    main()
